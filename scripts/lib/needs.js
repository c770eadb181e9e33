import { accessSync, constants, readdirSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";
import { root, runChild } from "./child.js";

/**
 * @typedef {object} Need
 * @property {string} name
 * @property {string} variable The environment variable that names the program; set for the tests where it was found.
 * @property {readonly string[]} commands Names under which it may be on PATH.
 * @property {string} aptPackage What brings it on Debian and Ubuntu.
 * @property {RegExp} suites The test files that can't run without it, by their path in the repository.
 */

/** What some tests need of the machine, beyond Node. A need that no test file has is not looked for. @type {readonly Need[]} */
export const needs = [
  {
    name: "chromium",
    variable: "CHROMIUM_PATH",
    commands: ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"],
    aptPackage: "chromium",
    suites: /^test\/(browser\/.*|platforms\/chromium|docs\/(react|frameworks))\.test\.tsx?$/,
  },
  {
    name: "firefox",
    variable: "FIREFOX_PATH",
    commands: ["firefox-esr", "firefox"],
    aptPackage: "firefox-esr",
    suites: /^test\/platforms\/firefox\.test\.ts$/,
  },
  {
    name: "WebKitWebDriver",
    variable: "WEBKIT_DRIVER_PATH",
    commands: ["WebKitWebDriver"],
    aptPackage: "webkit2gtk-driver",
    suites: /^test\/platforms\/webkit\.test\.ts$/,
  },
  {
    name: "Xvfb",
    variable: "XVFB_PATH",
    commands: ["Xvfb"],
    aptPackage: "xvfb",
    suites: /^test\/platforms\/webkit\.test\.ts$/,
  },
  {
    name: "redis-server",
    variable: "REDIS_SERVER_PATH",
    commands: ["redis-server"],
    aptPackage: "redis-server",
    suites:
      /^test\/((brokers|redis)\/.*|cluster\/redis|(browser|crash)\/cluster|demo\/own-redis|docs\/(cluster|choosing-a-log))\.test\.tsx?$/,
  },
  {
    name: "nats-server",
    variable: "NATS_SERVER_PATH",
    commands: ["nats-server"],
    aptPackage: "nats-server",
    suites: /^test\/((brokers|nats)\/.*|cluster\/nats|browser\/cluster)\.test\.tsx?$/,
  },
  {
    name: "strace",
    variable: "STRACE_PATH",
    commands: ["strace"],
    aptPackage: "strace",
    suites: /^test\/crash\/sync\.test\.ts$/,
  },
];

/** Debian keeps servers in sbin, which a user's PATH often lacks. */
const EXTRA_FOLDERS = ["/usr/sbin", "/usr/local/sbin"];
const INSTALL_LIMIT_MS = 300_000;

/**
 * Where a need's program is: the variable if it is set, else the first of its names on PATH.
 *
 * @param {Need} need
 * @returns {string | undefined}
 */
export function findProgram(need) {
  const named = process.env[need.variable];
  if (named) return isExecutable(named) ? named : undefined;
  const folders = [...(process.env.PATH ?? "").split(delimiter).filter(Boolean), ...EXTRA_FOLDERS];
  return folders
    .flatMap((folder) => need.commands.map((command) => join(folder, command)))
    .find(isExecutable);
}

/**
 * Finds what the tests need, and installs what is missing where that is allowed.
 *
 * @returns {Promise<{ env: Record<string, string>, notRun: { file: string, need: string }[] }>}
 *   `env` for the test runner, and the test files that can't run here.
 */
export async function meetNeeds() {
  const files = testFiles();
  const wanted = needs.filter((need) => files.some((file) => need.suites.test(file)));
  await install(wanted.filter((need) => findProgram(need) === undefined));

  /** @type {Record<string, string>} */
  const env = {};
  /** @type {{ file: string, need: string }[]} */
  const notRun = [];
  for (const need of wanted) {
    const path = findProgram(need);
    if (path !== undefined) env[need.variable] = path;
    else for (const file of files) if (need.suites.test(file)) notRun.push({ file, need: need.name });
  }
  return { env, notRun };
}

/** @param {readonly Need[]} missing */
async function install(missing) {
  if (missing.length === 0) return;
  const names = missing.map((need) => need.name).join(", ");
  if (process.getuid?.() !== 0 || !isExecutable("/usr/bin/apt-get")) {
    console.log(
      `setup: ${names} not found on PATH, and only root on a system with apt-get can install it here`,
    );
    return;
  }
  console.log(`setup: installing ${names} with apt-get`);
  const options = { env: { DEBIAN_FRONTEND: "noninteractive" }, timeoutMs: INSTALL_LIMIT_MS };
  const packages = missing.map((need) => need.aptPackage);
  // A failed update need not matter, since older lists may do: judge by the installation alone.
  await runChild("apt-get", ["update", "-q"], options);
  const { code, output } = await runChild(
    "apt-get",
    ["install", "-q", "-y", "--no-install-recommends", ...packages],
    options,
  );
  if (code !== 0) console.log(`setup: apt-get failed\n${output.trim().split("\n").slice(-8).join("\n")}`);
}

/** All test files, by their path in the repository. */
function testFiles() {
  return readdirSync(join(root, "test"), { recursive: true, encoding: "utf8" })
    .map((name) => `test/${name.replaceAll("\\", "/")}`)
    .filter((name) => /\.test\.tsx?$/.test(name) && !name.includes("/node_modules/"))
    .sort();
}

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}
