import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { availableParallelism, cpus, release, totalmem, type } from "node:os";
import { dirname, join } from "node:path";

const SERVER_CORE = "0";
const GENERATOR_CORE = "1";

/**
 * Whether the server under test and the load generator can have a core each.
 *
 * Asked once by running it: a container may have `taskset` and still not allow these cores.
 */
const canPin =
  availableParallelism() >= 2 &&
  spawnSync("taskset", ["-c", `${SERVER_CORE},${GENERATOR_CORE}`, "true"]).status === 0;

/**
 * The command line that runs `command` on the core of its role, or anywhere where cores can't be had.
 *
 * @param {"server" | "generator"} role
 * @param {string} command
 * @param {string[]} args
 * @returns {[string, string[]]}
 */
export function pinned(role, command, args) {
  if (!canPin) return [command, args];
  return ["taskset", ["-c", role === "server" ? SERVER_CORE : GENERATOR_CORE, command, ...args]];
}

/**
 * The installed version of a package, found from its entry point: most don't export their package.json.
 *
 * @param {string} name
 */
function versionOf(name) {
  let folder = dirname(createRequire(import.meta.url).resolve(name));
  for (; folder !== dirname(folder); folder = dirname(folder)) {
    try {
      const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
      if (manifest.name === name) return String(manifest.version);
    } catch (error) {
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== "ENOENT") throw error;
    }
  }
  return "not found";
}

const PACKAGES = ["hono", "@hono/node-server", "better-sse", "eventsource-parser"];

/** What a figure means nothing without. */
export function describeMachine() {
  const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  return {
    everstream: manifest.version,
    cpu: `${cpus()[0]?.model.trim() ?? "unknown CPU"}, ${availableParallelism()} cores`,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${type()} ${release().split("-")[0]}`,
    node: process.version,
    pinned: canPin,
    packages: Object.fromEntries(PACKAGES.map((name) => [name, versionOf(name)])),
  };
}
