// npm run start:cluster: the reference application on three nodes behind a balancer, on a redis-server of its own, or on what LOG
// names. Kill a node, and see the page go on.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { startBalancer } from "./lib/balancer.js";
import { build } from "./lib/build-steps.js";
import { endWithChildren, root } from "./lib/child.js";
import { findProgram, needs } from "./lib/needs.js";
import { startRedis } from "./lib/own-redis.js";
import { startProgram } from "./lib/program.js";

/** @typedef {import("./lib/program.js").Program} Program */

const NODES = ["node-1", "node-2", "node-3"];
const MAIN = join(root, "demo/dist/server/main.js");
/** How long a node may take to end its streams in good order; it gives up on them by itself before that. */
const STOP_MS = 10_000;
const RESTART_MS = 1000;
/** A node that can't be started so many times in a row never will be. */
const MAX_FAILURES = 5;

const dataDir = resolve(process.env.DATA_DIR || "./data");
const port = portFromEnvironment();
let stopping = false;
/** @type {Map<string, Program>} */
const nodes = new Map();
/** @type {Program | undefined} */
let redis;

if (!existsSync(join(root, "node_modules/typescript"))) fail("Run `npm ci` first.");
const redisServer = process.env.LOG ? undefined : findProgram(redisNeed());
if (!process.env.LOG && redisServer === undefined) {
  fail(
    "redis-server is not installed here. Install it (Debian, Ubuntu: apt-get install redis-server; macOS: brew install redis), " +
      "or name a Redis or NATS server with LOG=redis://host:port or LOG=nats://host:port.",
  );
}
if (process.env.LOG && /^(memory|lmdb):/.test(process.env.LOG)) {
  fail(
    "a log of one process can't be shared by three nodes: set LOG to redis://… or nats://…, or not at all.",
  );
}

const stopPassingOn = endWithChildren();
/** @param {string} names */
const announce = (names) => console.log(`start:cluster: building first, which takes a moment: ${names}`);
if (!(await build({ missingOnly: true, announce }))) process.exit(1);
stopPassingOn();

// First, so that a port which is taken ends this before anything else has begun.
const balancer = await startBalancer({ port }).catch((error) =>
  fail(`could not listen on port ${port}: ${error.message}`),
);
for (const signal of /** @type {const} */ (["SIGTERM", "SIGINT"])) {
  process.on(signal, () => {
    // A second signal means that somebody is tired of waiting; what is left is killed with this process.
    if (stopping) process.exit(1);
    void stop(0);
  });
}
try {
  const log = process.env.LOG || (await startOwnRedis(/** @type {string} */ (redisServer)));
  await Promise.all(NODES.map((name) => startNode(name, log)));
  console.log(`listening on http://localhost:${balancer.port}`);
} catch (error) {
  console.error(`start:cluster: ${error instanceof Error ? error.message : error}`);
  await stop(1);
}

/** Starts a redis-server in the data folder, and again whenever it ends by itself. @param {string} program */
async function startOwnRedis(program) {
  const folder = join(dataDir, "redis");
  // The nodes know the port of the first one.
  const { server, port } = await startRedis({ program, folder, samePort: redis !== undefined });
  if (stopping) await server.stop();
  redis = server;
  const url = `redis://127.0.0.1:${port}`;
  console.log(`redis at ${url}, process ${server.pid}`);
  void server.ended.then((how) => restart("redis", how, () => startOwnRedis(program)));
  return url;
}

/** Starts a node, and again whenever it ends by itself. @param {string} name @param {string} log */
async function startNode(name, log) {
  const env = { PORT: "0", DATA_DIR: dataDir, LOG: log, NODE_NAME: name };
  const ready = /^listening on http:\/\/localhost:(\d+)$/m;
  const node = await startProgram(name, process.execPath, [MAIN], { ready, env });
  if (stopping) {
    await node.stop();
    return;
  }
  nodes.set(name, node);
  const nodePort = Number(node.ready[1]);
  balancer.add(name, nodePort);
  console.log(`${name} is process ${node.pid}, on port ${nodePort}`);
  void node.ended.then((how) => {
    nodes.delete(name);
    balancer.remove(name);
    return restart(name, how, () => startNode(name, log));
  });
}

/** Starts again what has ended by itself. @param {string} name @param {string} how @param {() => Promise<unknown>} start */
async function restart(name, how, start) {
  for (let failures = 0; !stopping && failures < MAX_FAILURES; failures++) {
    console.log(`${name} has ended (${how}), and is started again`);
    await delay(RESTART_MS);
    try {
      if (!stopping) await start();
      return;
    } catch (error) {
      how = error instanceof Error ? error.message : String(error);
    }
  }
  if (!stopping) console.error(`start:cluster: ${name} can't be started`);
}

/** Ends the nodes, whose clients are told so through the balancer, then that, then what they wrote to. @param {number} code */
async function stop(code) {
  stopping = true;
  const late = delay(STOP_MS, undefined, { ref: false });
  await Promise.race([late, Promise.all([...nodes.values()].map((node) => node.stop()))]);
  await balancer.close();
  await Promise.race([late, redis?.stop()]);
  process.exit(code);
}

function redisNeed() {
  const need = needs.find(({ name }) => name === "redis-server");
  if (need === undefined) throw new Error("scripts/lib/needs.js lacks redis-server");
  return need;
}

function portFromEnvironment() {
  const given = process.env.PORT || "3000";
  const wanted = Number(given);
  return /^\d+$/.test(given) && wanted < 65_536
    ? wanted
    : fail(`PORT must be a number from 0 to 65535, not "${given}".`);
}

/** @param {string} message @returns {never} */
function fail(message) {
  console.error(`start:cluster: ${message}`);
  process.exit(1);
}
