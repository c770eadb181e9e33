/**
 * Drains a server with many clients on real sockets and shows when they come back to the next one, and that none of them
 * missed an event. Needs the built package. `node bench/drain.js [--clients 10000] [--within 5000] [--bucket 100]`
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { streamTopics } from "../dist/adapters/node.js";
import { createHub, memoryLog } from "../dist/index.js";
import { createParser } from "../dist/protocol/index.js";

const POLL_MS = 100;
const OPENING_AT_A_TIME = 200;
const PUBLISH_EVERY_MS = 100;
const BAR_WIDTH = 60;

const { values } = parseArgs({
  options: {
    clients: { type: "string", default: "10000" },
    within: { type: "string", default: "5000" },
    bucket: { type: "string", default: "100" },
  },
});

if (process.send === undefined)
  await drain(Number(values.clients), Number(values.within), Number(values.bucket));
else process.once("message", (job) => void runClients(job));

/** The servers' side. */
async function drain(clients, within, bucketMs) {
  const log = memoryLog();
  const hubs = [createHub({ log }), createHub({ log })];
  const servers = await Promise.all(hubs.map(listen));
  const child = fork(fileURLToPath(import.meta.url));
  child.send({ clients, bucketMs, ports: servers.map((server) => server.address().port) });
  const [{ open }] = await once(child, "message");
  if (open < clients) console.log(`only ${open} of ${clients} could be opened here (ulimit -n)`);

  let published = 0;
  const publishing = setInterval(() => void hubs[1].publish("news", { data: published++ }), PUBLISH_EVERY_MS);
  child.send("draining");
  const started = performance.now();
  await hubs[0].close({ within });
  const closedMs = performance.now() - started;
  while (hubs[1].stats().sessions < open) await sleep(POLL_MS);
  clearInterval(publishing);
  await hubs[1].publish("news", { data: published++ });
  child.send({ published });
  const [{ returns, retries, faults }] = await once(child, "message");
  show({ open, within, bucketMs, closedMs, published, returns, retries, faults });
  child.kill();
  await hubs[1].close();
  for (const server of servers) {
    server.close();
    server.closeAllConnections();
  }
  process.exitCode = faults === 0 ? 0 : 1;
}

function listen(hub) {
  const server = createServer((request, response) => {
    streamTopics(request, response, hub, { topics: "news" }).catch(() => response.destroy());
  });
  return new Promise((resolve) =>
    server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => resolve(server)),
  );
}

/** The clients' side: each goes to the second server after the time that the first one gave it. */
async function runClients({ clients, bucketMs, ports }) {
  const all = [];
  let started = 0;
  const returns = [];
  const retries = [];
  process.on("message", (message) => {
    if (message === "draining") started = performance.now();
    else void finish(message.published);
  });
  for (let index = 0; index < clients; index += OPENING_AT_A_TIME) {
    const some = Array.from({ length: Math.min(OPENING_AT_A_TIME, clients - index) }, () => ({
      next: 0,
      faults: 0,
      retry: 0,
      id: "",
    }));
    const opened = await Promise.all(some.map((client) => open(client, ports[0], () => comeBack(client))));
    all.push(...some.filter((_, at) => opened[at]));
  }
  process.send({ open: all.length });

  async function comeBack(client) {
    retries.push(client.retry);
    await sleep(client.retry);
    const bucket = Math.floor((performance.now() - started) / bucketMs);
    returns[bucket] = (returns[bucket] ?? 0) + 1;
    // As a browser does, it tries again where the machine had no room for its connection.
    while (!(await open(client, ports[1], () => client.faults++))) await sleep(POLL_MS);
  }

  async function finish(published) {
    while (all.some((client) => client.next < published && client.faults === 0)) await sleep(POLL_MS);
    const faults = all.reduce((sum, client) => sum + client.faults, 0);
    process.send({ returns: Array.from(returns, (count) => count ?? 0), retries, faults });
  }
}

/** Resolves with whether there is a stream; `onEnd` is called at its end. */
function open(client, port, onEnd) {
  const parser = createParser({
    lastEventId: client.id,
    onEvent({ event, data }) {
      if (event === "sse:gap") client.faults++;
      if (event.startsWith("sse:")) return;
      if (Number(data) !== client.next++) client.faults++;
    },
    onRetry: (ms) => {
      client.retry = ms;
    },
  });
  const socket = connect(port, "127.0.0.1");
  const cursor = client.id === "" ? "" : `Last-Event-ID: ${client.id}\r\n`;
  // HTTP/1.0 has no chunks: what follows the head is the stream as it is.
  socket.write(`GET / HTTP/1.0\r\nHost: localhost\r\nAccept: text/event-stream\r\n${cursor}\r\n`);
  let head = "";
  let streaming = false;
  return new Promise((resolve) => {
    socket.on("data", (bytes) => {
      let body = bytes;
      if (!streaming) {
        const before = head.length;
        head += bytes.toString("latin1");
        const end = head.indexOf("\r\n\r\n");
        if (end === -1) return;
        streaming = true;
        body = bytes.subarray(end + 4 - before);
      }
      parser.push(body);
      client.id = parser.lastEventId;
      if (client.id !== "") resolve(true);
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      resolve(false);
      if (streaming) onEnd();
    });
  });
}

function show({ open, within, bucketMs, closedMs, published, returns, retries, faults }) {
  const most = Math.max(...returns);
  console.log(
    `${open} clients, drained within ${within} ms (${Math.round(closedMs)} ms), ${published} events meanwhile`,
  );
  console.log(
    `retry: ${Math.min(...retries)} to ${Math.max(...retries)} ms; returns in each ${bucketMs} ms:`,
  );
  returns.forEach((count, bucket) => {
    const at = ((bucket * bucketMs) / 1000).toFixed(1).padStart(6);
    console.log(`${at} s ${String(count).padStart(5)} ${"█".repeat(Math.round((count / most) * BAR_WIDTH))}`);
  });
  const mean = open / returns.length;
  console.log(
    `at most ${most}, on average ${mean.toFixed(0)}; ${faults} events lost, doubled or out of order`,
  );
}
