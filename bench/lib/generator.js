import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { LineProcess } from "./lines.js";
import { pinned } from "./machine.js";

const here = (/** @type {string} */ path) => fileURLToPath(new URL(path, import.meta.url));

const SOURCE = here("../loadgen.c");
const FALLBACK = here("../loadgen.js");
const FOLDER = here("../../artifacts/bench/");
const BINARY = here("../../artifacts/bench/loadgen");

/**
 * @typedef {object} Generator
 * @property {"C" | "Node"} kind
 * @property {string} note for the table's head
 * @property {() => LineProcess} start a generator of its own process
 * @property {((mode: "send" | "joined") => LineProcess) | undefined} ceiling a server as bare as can be, by mode
 */

/** Compiles the generator where that is not done yet. @returns {string | undefined} why it couldn't be done */
function compile() {
  if (existsSync(BINARY) && statSync(BINARY).mtimeMs > statSync(SOURCE).mtimeMs) return undefined;
  mkdirSync(FOLDER, { recursive: true });
  const cc = spawnSync("cc", ["-O2", "-o", BINARY, SOURCE], { encoding: "utf8" });
  if (cc.error) return "no C compiler: install one (cc) for figures that mean something";
  return cc.status === 0 ? undefined : `cc could not compile loadgen.c here: ${cc.stderr.split("\n")[0]}`;
}

/** @returns {Generator} */
function nodeGenerator(/** @type {string} */ why) {
  return {
    kind: "Node",
    note: `load generator: Node, which IS A BOTTLENECK (${why})`,
    start: () => new LineProcess("the load generator", ...pinned("generator", process.execPath, [FALLBACK])),
    ceiling: undefined,
  };
}

/**
 * The load generator in C, or the one in Node where C can't be had or isn't wanted.
 *
 * @param {"C" | "Node" | undefined} wanted
 * @returns {Generator}
 */
export function findGenerator(wanted) {
  if (wanted === "Node") return nodeGenerator("asked for");
  const problem = compile();
  if (problem) return nodeGenerator(problem);
  return {
    kind: "C",
    note: "load generator: C, epoll",
    start: () => new LineProcess("the load generator", ...pinned("generator", BINARY, [])),
    ceiling: (mode) => new LineProcess("the ceiling", ...pinned("server", BINARY, ["--serve", mode])),
  };
}
