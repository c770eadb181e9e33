import { fileURLToPath } from "node:url";
import { LineProcess } from "./lib/lines.js";
import { pinned } from "./lib/machine.js";

/**
 * @typedef {object} Peer
 * @property {string} name as in `--peers` and in the table
 * @property {boolean} ours
 * @property {() => LineProcess} start its server, in a process of its own
 */

/** @param {string} name @param {string} file @param {boolean} [ours] @returns {Peer} */
function peer(name, file, ours = false) {
  const path = fileURLToPath(new URL(`./servers/${file}`, import.meta.url));
  return {
    name,
    ours,
    start: () => new LineProcess(name, ...pinned("server", process.execPath, ["--expose-gc", path])),
  };
}

export const NODE = "node:http";
/** The one that all others are compared to. */
export const HONO = "hono/streaming";

export const PEERS = [
  peer(NODE, "node-http.js"),
  peer(HONO, "hono.js"),
  peer("better-sse", "better-sse.js"),
  peer("everstream/node", "everstream-node.js", true),
  peer("everstream/hono", "everstream-hono.js", true),
];
