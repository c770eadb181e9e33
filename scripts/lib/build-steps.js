import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { root, runTool } from "./child.js";

/**
 * @typedef {object} BuildStep
 * @property {string} name
 * @property {"package" | "demo"} part
 * @property {readonly string[]} sources Files and folders; a change in any of them makes the output old.
 * @property {string} output The file whose absence means "not built".
 * @property {() => Promise<import("./child.js").ChildResult>} run
 */

const PACKAGE_SOURCES = [
  "src",
  "package.json",
  "package-lock.json",
  "tsconfig.base.json",
  "tsconfig.build.json",
];

/** In the order in which they need each other. @type {readonly BuildStep[]} */
export const buildSteps = [
  {
    name: "package",
    part: "package",
    sources: PACKAGE_SOURCES,
    output: "dist/index.js",
    run: buildPackage,
  },
  {
    name: "demo server",
    part: "demo",
    sources: [...PACKAGE_SOURCES, "demo"],
    output: "demo/dist/server/main.js",
    run: () => {
      rmSync(join(root, "demo/dist/server"), { recursive: true, force: true });
      return runTool("typescript/bin/tsc", ["-p", "demo/tsconfig.json", "--noEmitOnError"]);
    },
  },
  {
    name: "demo page",
    part: "demo",
    sources: [...PACKAGE_SOURCES, "demo"],
    output: "demo/dist/page/index.html",
    run: () =>
      runTool("vite/bin/vite.js", ["build", "--config", "demo/vite.config.ts", "--logLevel", "warn"]),
  },
];

/**
 * Runs the steps one after another, each with one line of output, and stops at the first that fails.
 *
 * @param {{ parts?: readonly string[], missingOnly?: boolean, announce?: (names: string) => void }} [options] `missingOnly`
 *   leaves out what is as new as its sources; `announce` is told what will be built, where anything is.
 * @returns {Promise<boolean>} Whether everything is built.
 */
export async function build({ parts = ["package", "demo"], missingOnly = false, announce } = {}) {
  const steps = buildSteps.filter((step) => parts.includes(step.part) && !(missingOnly && isFresh(step)));
  if (steps.length > 0) announce?.(steps.map(({ name }) => name).join(", "));
  for (const step of steps) {
    const fingerprint = fingerprintOf(step.sources);
    rmSync(stampOf(step), { force: true });
    const started = performance.now();
    const { code, output } = await step.run();
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    console.log(`build: ${step.name} ${code === 0 ? "done" : "failed"}, ${seconds} s`);
    if (code !== 0) {
      console.log(output.trim());
      return false;
    }
    mkdirSync(join(stampOf(step), ".."), { recursive: true });
    // Taken before the step ran: what was edited meanwhile makes the output old again.
    writeFileSync(stampOf(step), fingerprint);
  }
  return true;
}

/**
 * A build that fails leaves the last good `dist` in place; one that succeeds leaves nothing of the last one.
 */
async function buildPackage() {
  const fresh = join(root, `dist.${process.pid}.tmp`);
  const result = await runTool("typescript/bin/tsc", ["-p", "tsconfig.build.json", "--outDir", fresh]);
  if (result.code === 0) {
    rmSync(join(root, "dist"), { recursive: true, force: true });
    renameSync(fresh, join(root, "dist"));
  }
  rmSync(fresh, { recursive: true, force: true });
  return result;
}

/** @param {BuildStep} step */
function isFresh(step) {
  const stamp = stampOf(step);
  return (
    existsSync(join(root, step.output)) &&
    existsSync(stamp) &&
    readFileSync(stamp, "utf8") === fingerprintOf(step.sources)
  );
}

/** Below node_modules, where `npm ci` clears it away: new tools build anew. @param {BuildStep} step */
function stampOf(step) {
  return join(root, "node_modules/.cache/everstream", step.name.replaceAll(" ", "-"));
}

/**
 * Names, sizes and times of all source files. Unlike "is any file newer than the output" it also sees a file that was
 * removed, and a checkout that set times back.
 *
 * @param {readonly string[]} sources
 */
function fingerprintOf(sources) {
  const hash = createHash("sha256");
  for (const source of sources) {
    if (!existsSync(join(root, source))) continue;
    for (const file of filesOf(source)) {
      const { size, mtimeMs } = statSync(join(root, file));
      hash.update(`${file}\0${size}\0${mtimeMs}\n`);
    }
  }
  return hash.digest("hex");
}

/**
 * @param {string} path
 * @returns {string[]}
 */
function filesOf(path) {
  if (statSync(join(root, path)).isFile()) return [path];
  return readdirSync(join(root, path))
    .sort()
    .filter((name) => name !== "dist" && name !== "data")
    .flatMap((name) => filesOf(`${path}/${name}`));
}
