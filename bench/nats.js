/**
 * Publishing through a log on NATS JetStream beside the client's own publishing, at the same concurrency; events that reach
 * a second process; and the time from a publish on one process to an SSE client of the other. Needs the built package, and
 * nats-server. `node bench/nats.js [--events 20000] [--publishers 64] [--rounds 3] [--topics 64]`
 */
import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { connect as connectSocket, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { streamTopics } from "../dist/adapters/node.js";
import { createHub } from "../dist/index.js";
import { natsLog } from "../dist/logs/nats.js";
import { createParser } from "../dist/protocol/index.js";

const { values } = parseArgs({
  options: {
    events: { type: "string", default: "20000" },
    publishers: { type: "string", default: "64" },
    rounds: { type: "string", default: "3" },
    topics: { type: "string", default: "64" },
  },
});
const [events, publishers, rounds, topics] = ["events", "publishers", "rounds", "topics"].map((name) =>
  Number(values[name]),
);

const TEXT = "x".repeat(150);
const KEEP_ALL = { maxEvents: 1e9, maxBytes: 1e12 };
const LATENCY_EVENTS = 2000;

/** A port that nobody listens on. */
async function freePort() {
  const server = createTcpServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  server.close();
  await once(server, "close");
  return address.port;
}

/**
 * Has all publishers publish in turns until all events are out.
 *
 * @param {number} publishing
 * @param {(index: number) => Promise<unknown>} publish
 */
async function publishAll(publishing, publish) {
  /** @type {number[]} */
  const latencies = [];
  let next = 0;
  const one = async () => {
    while (next < events) {
      const begun = performance.now();
      await publish(next++);
      latencies.push(performance.now() - begun);
    }
  };
  const begun = performance.now();
  await Promise.all(Array.from({ length: publishing }, one));
  return { perSecond: events / ((performance.now() - begun) / 1000), ...percentiles(latencies) };
}

/** @param {number[]} latencies */
function percentiles(latencies) {
  latencies.sort((a, b) => a - b);
  const at = (/** @type {number} */ share) =>
    latencies[Math.floor(share * (latencies.length - 1))] ?? Number.NaN;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** The client's own publishing, each event a message. */
async function measureRaw(/** @type {string} */ servers, /** @type {number} */ publishing) {
  const connection = await connect({ servers });
  const manager = await jetstreamManager(connection);
  await manager.streams.add({ name: "raw", subjects: ["raw.>"] });
  const client = jetstream(connection);
  const figures = await publishAll(publishing, (index) => client.publish(`raw.${index % topics}`, TEXT));
  await manager.streams.delete("raw");
  await connection.close();
  return figures;
}

async function measureHub(
  /** @type {string} */ servers,
  /** @type {string} */ name,
  /** @type {number} */ publishing,
) {
  const hub = createHub({ log: natsLog({ servers, name }), retention: () => KEEP_ALL });
  const figures = await publishAll(publishing, (index) => hub.publish(`t${index % topics}`, { text: TEXT }));
  await hub.close();
  return figures;
}

/** Starts the other process: a hub that reads all topics and serves them. */
async function startReader(/** @type {string} */ servers, /** @type {string} */ name) {
  const child = fork(fileURLToPath(import.meta.url), [`--topics=${topics}`], {
    env: { ...process.env, EVERSTREAM_BENCH_READER: JSON.stringify({ servers, name }) },
  });
  const [{ port }] = await once(child, "message");
  /** Resolves when it has got so many events. */
  const got = (/** @type {number} */ count) =>
    new Promise((resolve) => {
      child.on("message", (/** @type {{ count?: number }} */ message) => {
        if ((message.count ?? 0) >= count) resolve(undefined);
      });
    });
  return { port, got, end: () => child.kill("SIGKILL") };
}

async function read({ servers, name }) {
  const hub = createHub({ log: natsLog({ servers, name }) });
  let count = 0;
  await Promise.all(
    Array.from({ length: topics }, (_, index) => hub.subscribe(`t${index}`, () => count++).ready),
  );
  const server = createServer((request, response) => {
    streamTopics(request, response, hub, { topics: "latency" }).catch(() => response.destroy());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  process.send?.({ port: address !== null && typeof address === "object" ? address.port : 0 });
  setInterval(() => process.send?.({ count }), 5);
}

async function measureFanOut(/** @type {string} */ servers) {
  const name = "fan-out";
  const hub = createHub({ log: natsLog({ servers, name }), retention: () => KEEP_ALL });
  await hub.publish("t0", { text: TEXT });
  const reader = await startReader(servers, name);
  const all = reader.got(events);
  const begun = performance.now();
  const published = await publishAll(publishers, (index) =>
    hub.publish(`t${index % topics}`, { text: TEXT }),
  );
  await all;
  const perSecond = events / ((performance.now() - begun) / 1000);
  const latency = await measureLatency(hub, reader.port);
  reader.end();
  await hub.close();
  return { published, perSecond, latency };
}

/** From a publish here to a client of the other process, one event after the other. */
async function measureLatency(/** @type {import("../dist/index.js").Hub} */ hub, /** @type {number} */ port) {
  /** @type {number[]} */
  const latencies = [];
  /** @type {() => void} */
  let onEvent = () => undefined;
  const parser = createParser({
    onEvent: ({ event, data }) => {
      if (event !== "message") return;
      latencies.push(performance.now() - JSON.parse(data));
      onEvent();
    },
  });
  const socket = connectSocket(port, "127.0.0.1");
  socket.write("GET / HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n");
  await once(socket, "data");
  socket.on("data", (bytes) => parser.push(bytes));
  for (let index = 0; index < LATENCY_EVENTS; index++) {
    const arrived = new Promise((resolve) => {
      onEvent = () => {
        resolve(undefined);
      };
    });
    await hub.publish("latency", { data: performance.now() });
    await arrived;
  }
  socket.destroy();
  return percentiles(latencies);
}

async function main() {
  const folder = mkdtempSync(join(tmpdir(), "everstream-bench-nats-"));
  const port = await freePort();
  const args = ["--addr", "127.0.0.1", "--port", String(port), "--jetstream", "--store_dir", folder];
  const server = spawn(process.env.NATS_SERVER_PATH ?? "nats-server", args, {
    stdio: ["ignore", "ignore", "pipe"],
  });
  for await (const chunk of server.stderr) if (String(chunk).includes("Server is ready")) break;
  const servers = `127.0.0.1:${port}`;
  const say = (
    /** @type {string} */ what,
    /** @type {{ perSecond: number, p50Ms: number, p99Ms: number }} */ f,
  ) =>
    console.log(
      `${what.padEnd(52)} ${String(Math.round(f.perSecond)).padStart(8)}/s   p50 ${f.p50Ms.toFixed(2)} ms   p99 ${f.p99Ms.toFixed(2)} ms`,
    );
  try {
    for (let round = 0; round < rounds; round++) {
      for (const publishing of [1, publishers]) {
        const who = `${publishing} publisher${publishing > 1 ? "s" : ""}, ${topics} topics`;
        say(`js.publish, ${who}`, await measureRaw(servers, publishing));
        say(`hub.publish, ${who}`, await measureHub(servers, `bench-${round}-${publishing}`, publishing));
      }
    }
    const { published, perSecond, latency } = await measureFanOut(servers);
    say(`hub.publish with a second process that reads, ${publishers} publishers`, published);
    console.log(`all of it in the second process: ${Math.round(perSecond)}/s`);
    console.log(
      `publish on A to an SSE client of B: p50 ${latency.p50Ms.toFixed(2)} ms, p99 ${latency.p99Ms.toFixed(2)} ms`,
    );
  } finally {
    server.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  }
}

const reader = process.env.EVERSTREAM_BENCH_READER;
if (reader !== undefined) await read(JSON.parse(reader));
else {
  await main();
  process.exit(0);
}
