import { fileURLToPath } from "node:url";
import { LineProcess } from "./lib/lines.js";
import { pinned } from "./lib/machine.js";
import { hasNchan, nginxVersion } from "./lib/nchan.js";

/**
 * @typedef {object} Peer
 * @property {string} name as in `--peers` and in the table
 * @property {boolean} ours
 * @property {boolean} pressesBack its publisher waits for each event, so that a number of events a turn means nothing
 * @property {boolean} fanoutAlone it only publishes: no handlers, and no memory of its own process to measure
 * @property {() => LineProcess} start its server, in a process of its own
 */

/**
 * A server of Node's, on the server's core.
 *
 * @param {string} file
 * @param {string} name
 */
export function startServer(file, name) {
  const path = fileURLToPath(new URL(`./servers/${file}`, import.meta.url));
  return new LineProcess(name, ...pinned("server", process.execPath, ["--expose-gc", path]));
}

/** @param {string} name @param {string} file @param {boolean} [ours] @returns {Peer} */
const peer = (name, file, ours = false) => ({
  name,
  ours,
  pressesBack: ours,
  fanoutAlone: false,
  start: () => startServer(file, name),
});

export const NODE = "node:http";
/** The one that all others are compared to. */
export const HONO = "hono/streaming";
export const BETTER_SSE = "better-sse";
export const NCHAN = "Nchan";
/** The one that rows without peers measure. */
export const OURS = "everstream/node";

/** nginx takes the server's core; what publishes to it is not under test. @returns {Peer} */
function nchan() {
  const path = fileURLToPath(new URL("./servers/nchan.js", import.meta.url));
  return {
    name: NCHAN,
    ours: false,
    pressesBack: true,
    fanoutAlone: true,
    start: () => new LineProcess(NCHAN, ...pinned("generator", process.execPath, [path])),
  };
}

export const PEERS = [
  peer(NODE, "node-http.js"),
  peer(HONO, "hono.js"),
  peer(BETTER_SSE, "better-sse.js"),
  nchan(),
  peer(OURS, "everstream-node.js", true),
  peer("everstream/hono", "everstream-hono.js", true),
];

export const startOurs = () => startServer("everstream-node.js", OURS);

/** What is to be known of peers that are no packages, or that they are not here. @param {readonly string[]} names */
export function peerNotes(names) {
  if (!names.includes(NCHAN)) return [];
  if (hasNchan()) return [`${NCHAN}: in ${nginxVersion()}, one worker, its store in memory`];
  return [`${NCHAN}: not installed (nginx with Debian's libnginx-mod-nchan is looked for)`];
}

/** The peers of these names that can be. @param {readonly string[]} names */
export const peersNamed = (names) =>
  PEERS.filter(({ name }) => names.includes(name) && (name !== NCHAN || hasNchan()));
