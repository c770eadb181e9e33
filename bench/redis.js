/**
 * The Redis log beside the same work done by hand, and across node processes, on a redis-server of its own. Needs the built
 * package and redis-server (`REDIS_SERVER_PATH`).
 *
 * `node bench/redis.js [--events 100000] [--rounds 5] [--runs 1000] [--appendonly no]`
 */
import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createClient } from "@redis/client";
import { streamTopics } from "../dist/adapters/node.js";
import { createHub, createRuns } from "../dist/index.js";
import { redisLog } from "../dist/logs/redis.js";
import { median, rotated } from "./lib/stats.js";

const { values } = parseArgs({
  options: {
    events: { type: "string", default: "100000" },
    rounds: { type: "string", default: "5" },
    runs: { type: "string", default: "1000" },
    seconds: { type: "string", default: "10" },
    clients: { type: "string", default: "500" },
    appendonly: { type: "string", default: "no" },
    node: { type: "string" },
    url: { type: "string" },
  },
});
const events = Number(values.events);
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const clients = Number(values.clients);

const TEXT = "x".repeat(150);
const KEEP = { maxEvents: 1000, maxBytes: 1e9, maxAge: 3_600_000 };
const KEEP_ALL = { maxEvents: 1e9, maxBytes: 1e12 };
/** How many publishes are under way at once, here as by hand. */
const WINDOW = 1000;
const TOPICS = 64;

/** Has `publish` called so often, `WINDOW` at a time. Resolves to how many a second. */
async function rateOf(count, publish) {
  let next = 0;
  const one = async () => {
    while (next < count) await publish(next++);
  };
  const begun = performance.now();
  await Promise.all(Array.from({ length: WINDOW }, one));
  return count / ((performance.now() - begun) / 1000);
}

const RAW = `
local n = redis.call('INCR', KEYS[1])
redis.call('XADD', KEYS[2], n .. '-0', 'e', ARGV[1])
redis.call('PUBLISH', KEYS[3], ARGV[1])
return n`;

/** One Lua call for each event, pipelined: what an application would write by hand, without limits or promises. */
async function measureRaw(url) {
  const client = await createClient({ url }).connect();
  const sha = await client.scriptLoad(RAW);
  const rate = await rateOf(events, (index) => {
    const topic = `{raw}:${index % TOPICS}`;
    return client.sendCommand(["EVALSHA", sha, "3", "{raw}:head", topic, `{raw}:c:${index % TOPICS}`, TEXT]);
  });
  client.destroy();
  return rate;
}

async function measureAppend(url) {
  const connection = await redisLog({ url, name: "append" }).open({
    onEntries: () => undefined,
    onEpoch: () => undefined,
  });
  const retention = { maxEvents: KEEP.maxEvents, maxBytes: KEEP.maxBytes, maxAgeMs: KEEP.maxAge };
  const rate = await rateOf(events, (index) => {
    const now = Date.now();
    const event = {
      type: "message",
      data: TEXT,
      json: false,
      key: undefined,
      meta: undefined,
      time: now,
      version: 1,
    };
    return connection.append({
      topic: `topic:${index % TOPICS}`,
      events: [event],
      mark: undefined,
      expectLast: undefined,
      publishId: undefined,
      publishIdWindowMs: 0,
      retention,
      now,
    });
  });
  await connection.close();
  return rate;
}

async function measurePublish(url) {
  const hub = createHub({ log: redisLog({ url, name: "publish" }), retention: KEEP });
  const rate = await rateOf(events, (index) => hub.publish(`topic:${index % TOPICS}`, { text: TEXT }));
  await hub.close();
  return rate;
}

const SUBJECTS = [
  { name: "one Lua call an event, by hand (INCR, XADD, PUBLISH)", measure: measureRaw },
  { name: "redisLog: append", measure: measureAppend },
  { name: "hub.publish", measure: measurePublish },
];

async function measurePublishing(url) {
  const rates = new Map(SUBJECTS.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const { name, measure } of rotated(SUBJECTS, round)) rates.get(name)?.push(await measure(url));
  }
  const [raw = 1] = [...rates.values()].map((all) => median(all));
  console.log(
    `\npublishing, ${events} events of 150 bytes, ${WINDOW} under way, medians of ${rounds} interleaved rounds`,
  );
  for (const [name, all] of rates) {
    const rate = median(all);
    console.log(`  ${name.padEnd(55)} ${Math.round(rate)} /s  ${Math.round((rate / raw) * 100)} %`);
  }
}

/** A node of a process of its own, on which SSE clients read. */
async function serveNode(url) {
  const hub = createHub({ log: redisLog({ url, name: "nodes" }), retention: KEEP_ALL });
  const server = createServer((request, response) => {
    streamTopics(request, response, hub, { topics: request.url?.slice(1) ?? "" }).catch(() =>
      response.destroy(),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  process.send?.(server.address()?.port);
  process.once("disconnect", () => process.exit());
}

/** Opens streams of a topic. Calls `onData` with what comes, from the first event on. */
async function openStreams(port, topic, count, onData) {
  const sockets = [];
  for (let index = 0; index < count; index++) {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.setEncoding("latin1");
    socket.write(`GET /${topic} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n`);
    await once(socket, "data");
    // What stands across two chunks counts once, and in the second one.
    let rest = "";
    socket.on("data", (chunk) => {
      const text = rest + chunk;
      const end = text.lastIndexOf("\n") + 1;
      rest = text.slice(end);
      onData(text.slice(0, end));
    });
    sockets.push(socket);
  }
  return () => {
    for (const socket of sockets) socket.destroy();
  };
}

async function measureNodes(url) {
  const node = fork(import.meta.filename, ["--node", "1", "--url", url]);
  const [port] = await once(node, "message");
  const hub = createHub({ log: redisLog({ url, name: "nodes" }), retention: KEEP_ALL });
  await hub.publish("warm", { data: 1 });

  const latencies = [];
  let come = () => undefined;
  const closeOne = await openStreams(port, "latency", 1, (text) => {
    for (const match of text.matchAll(/"at":(\d+\.?\d*)/g)) {
      latencies.push(performance.now() - Number(match[1]));
      come();
    }
  });
  for (let index = 0; index < 3000; index++) {
    const seen = new Promise((resolve) => {
      come = resolve;
    });
    void hub.publish("latency", { data: { at: performance.now() } });
    await seen;
    if (index % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  }
  closeOne();
  latencies.splice(0, 200);
  latencies.sort((a, b) => a - b);
  const at = (share) => latencies[Math.floor(share * (latencies.length - 1))].toFixed(2);
  console.log(
    `\npublish on one node to an SSE client of another, one at a time: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`,
  );

  let delivered = 0;
  const wanted = 2000 * clients;
  let done = () => undefined;
  const all = new Promise((resolve) => {
    done = resolve;
  });
  const closeAll = await openStreams(port, "fan", clients, (text) => {
    for (let from = text.indexOf("data: {"); from !== -1; from = text.indexOf("data: {", from + 1))
      delivered++;
    if (delivered >= wanted) done();
  });
  const begun = performance.now();
  await Promise.all(
    Array.from({ length: 2000 }, (_, index) => hub.publish("fan", { data: { index, text: TEXT } })),
  );
  await all;
  const took = (performance.now() - begun) / 1000;
  console.log(
    `2,000 events from one node to ${clients} SSE clients of another: ${Math.round(delivered / took)} deliveries/s, ${Math.round(2000 / took)} events/s`,
  );
  closeAll();
  await hub.close();
  node.disconnect();
}

async function cpuOf(client) {
  const info = await client.info("cpu");
  return ["used_cpu_sys", "used_cpu_user"]
    .map((name) => Number(new RegExp(`^${name}:(.*)$`, "m").exec(info)?.[1]))
    .reduce((a, b) => a + b);
}

/** Runs that each write so many tokens a second, with no reader: what a server of answers does. */
async function measureRuns(url) {
  const count = Number(values.runs);
  const client = await createClient({ url }).connect();
  const hub = createHub({ log: redisLog({ url, name: "runs" }) });
  const runs = createRuns({ hub });
  let tokens = 0;
  let stopped = false;
  const produce = async (run) => {
    // Spread over the 20 ms between two tokens.
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 20));
    const begun = performance.now();
    for (let token = 0; !stopped; token++) {
      const wait = begun + token * 20 - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      await run.text("token ");
      tokens++;
    }
  };
  await Promise.all(Array.from({ length: count }, (_, index) => runs.start({ id: `r${index}`, produce })));
  await new Promise((resolve) => setTimeout(resolve, 2000));
  const [cpu, begun, before, own] = [await cpuOf(client), performance.now(), tokens, process.cpuUsage()];
  const commands = await client.info("stats");
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const took = (performance.now() - begun) / 1000;
  const { user, system } = process.cpuUsage(own);
  const share = ((await cpuOf(client)) - cpu) / took;
  const calls = (text) => Number(/total_commands_processed:(\d+)/.exec(text)?.[1]);
  const perSecond = (calls(await client.info("stats")) - calls(commands)) / took;
  console.log(
    `\n${count} runs of 50 tokens/s: ${Math.round((tokens - before) / took)} tokens/s; redis-server ${Math.round(share * 100)} % of a core, ${Math.round(perSecond)} commands/s; this process ${Math.round(((user + system) / 1e6 / took) * 100)} % of a core`,
  );
  stopped = true;
  await runs.close();
  await hub.close();
  client.destroy();
}

async function startServer() {
  const folder = mkdtempSync(join(tmpdir(), "everstream-bench-"));
  const port = 20_000 + Math.floor(Math.random() * 20_000);
  const args = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""];
  if (values.appendonly !== "no") args.push("--appendonly", "yes", "--appendfsync", values.appendonly);
  const server = spawn(process.env.REDIS_SERVER_PATH ?? "redis-server", args, {
    stdio: ["ignore", "pipe", "inherit"],
  });
  for await (const chunk of server.stdout) if (String(chunk).includes("Ready to accept")) break;
  server.stdout.resume();
  return {
    url: `redis://127.0.0.1:${port}`,
    stop: async () => {
      server.kill("SIGKILL");
      await once(server, "close");
      rmSync(folder, { recursive: true });
    },
  };
}

if (values.node !== undefined) {
  await serveNode(values.url);
} else {
  const { url, stop } = await startServer();
  console.log(`a redis-server of its own, appendonly ${values.appendonly}`);
  await measurePublishing(url);
  await measureNodes(url);
  await measureRuns(url);
  await stop();
}
