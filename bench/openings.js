/**
 * What it costs when many come back at once, each to a topic of its own, on a log that is on a server: openings a second, the
 * CPU time and memory of a node, and those of the server. No sockets: what an HTTP server takes is in `run.js --only replay`.
 * Needs the built package, redis-server and nats-server.
 * `node --expose-gc bench/openings.js [--log redis|nats] [--clients 10000]`
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { createHub } from "../dist/index.js";
import { natsLog } from "../dist/logs/nats.js";
import { redisLog } from "../dist/logs/redis.js";

const AT_A_TIME = 500;
/** The unit of CPU times in /proc: a hundredth of a second. */
const TICK_MS = 10;

const { values } = parseArgs({
  options: {
    log: { type: "string", default: "redis" },
    clients: { type: "string", default: "10000" },
  },
});
const clients = Number(values.clients);
const folder = mkdtempSync(join(tmpdir(), "everstream-openings-"));
const port = await freePort();
const server = startServer();
await sleep(1500);
const [publisher, node] = [createHub({ log: openLog() }), createHub({ log: openLog() })];

const cursor = await publisher.publish("first", { data: 0 });
const text = "x".repeat(150);
for (let from = 0; from < clients; from += AT_A_TIME) {
  await Promise.all(topicsFrom(from).map((topic) => publisher.publish(topic, { data: text })));
}
await node.publish("first", { data: 1 });
await collectGarbage();

const before = { memory: process.memoryUsage(), cpu: process.cpuUsage(), ...ofServer() };
const header = (name) => (name === "last-event-id" ? cursor : undefined);
const started = performance.now();
const openings = await Promise.all(
  Array.from({ length: clients }, (_, client) =>
    node.open({ method: "GET", url: "/", header }, { topics: `user:${client}`, heartbeat: false }),
  ),
);
const seconds = (performance.now() - started) / 1000;
const cpu = process.cpuUsage(before.cpu);
const serverCpuMs = ofServer().cpuMs - before.cpuMs;
const open = openings.filter(({ kind }) => kind === "stream").length;
await collectGarbage();
const heap = process.memoryUsage().heapUsed - before.memory.heapUsed;
const serverBytes = ofServer().bytes - before.bytes;

const each = (amount) => (amount / clients).toFixed(amount / clients < 10 ? 2 : 0);
console.log(`${values.log}: ${open} of ${clients} sessions, each on a topic of its own, after a cursor`);
console.log(`openings a second   ${Math.round(clients / seconds)}`);
console.log(`a node's CPU        ${each((cpu.user + cpu.system) / 1000)} ms each`);
console.log(`the server's CPU    ${each(serverCpuMs * 1000)} µs each`);
console.log(`a node's heap       ${each(heap)} bytes each`);
console.log(`the server's memory ${each(serverBytes)} bytes each`);
server.kill("SIGKILL");
await once(server, "exit");
rmSync(folder, { recursive: true, force: true });
process.exit();

function startServer() {
  const at = ["--port", String(port)];
  const redis = ["--bind", "127.0.0.1", "--dir", folder, "--save", "", "--appendonly", "yes"];
  const nats = ["--addr", "127.0.0.1", "--jetstream", "--store_dir", folder];
  return values.log === "nats"
    ? spawn("nats-server", [...at, ...nats], { stdio: "ignore" })
    : spawn("redis-server", [...at, ...redis], { stdio: "ignore" });
}

function openLog() {
  return values.log === "nats"
    ? natsLog({ servers: `nats://127.0.0.1:${port}` })
    : redisLog({ url: `redis://127.0.0.1:${port}` });
}

function topicsFrom(first) {
  return Array.from({ length: Math.min(AT_A_TIME, clients - first) }, (_, index) => `user:${first + index}`);
}

/** CPU time and resident memory, as Linux tells them. */
function ofServer() {
  const fields = readFileSync(`/proc/${server.pid}/stat`, "utf8").split(") ")[1].split(" ");
  const [, kB] = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${server.pid}/status`, "utf8"));
  return { cpuMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS, bytes: Number(kB) * 1024 };
}

async function collectGarbage() {
  for (let times = 0; times < 3; times++) {
    globalThis.gc?.();
    await sleep(1000);
  }
}

async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port: free } = probe.address();
  probe.close();
  await once(probe, "close");
  return free;
}
