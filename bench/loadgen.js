import { Agent, get } from "node:http";
import { createInterface } from "node:readline";

/**
 * The load generator where no C compiler is: the same commands and replies as loadgen.c, but slow enough to be the
 * bottleneck itself. It proves the harness and compares roughly.
 */

const MARKER = "~".charCodeAt(0);
const DIGITS = 19;
const CHECK_MS = 2;

/**
 * @typedef {object} Group
 * @property {Set<import("node:http").ClientRequest>} requests
 * @property {number} open
 * @property {number} failed
 * @property {number} ended
 * @property {boolean} reading
 * @property {number} every
 * @property {number} untilSample
 * @property {number} delivered
 * @property {number} bytes
 * @property {number} unreadTimes
 * @property {number} markedAt
 * @property {NodeJS.CpuUsage} markedCpu
 * @property {number} firstAt
 * @property {number} lastAt
 * @property {number[]} latencies in microseconds
 * @property {Map<bigint, { first: number, last: number, lastNs: bigint, count: number }>} spreads by time of publishing
 * @property {boolean} tracksSpread
 * @property {Set<import("node:http").IncomingMessage>} responses
 */

/** @type {Map<string, Group>} */
const groups = new Map();
const agent = new Agent({ keepAlive: false });

/** @param {Group} group */
function mark(group) {
  Object.assign(group, {
    delivered: 0,
    bytes: 0,
    unreadTimes: 0,
    firstAt: 0,
    lastAt: 0,
    untilSample: group.every,
  });
  group.latencies = [];
  group.spreads = new Map();
  group.markedAt = performance.now();
  group.markedCpu = process.cpuUsage();
}

/** @param {Group} group @param {Buffer} bytes */
function take(group, bytes) {
  const now = performance.now();
  const nowNs = process.hrtime.bigint();
  group.bytes += bytes.length;
  for (let at = bytes.indexOf(MARKER); at >= 0; at = bytes.indexOf(MARKER, at + 1)) {
    group.delivered++;
    group.firstAt ||= now;
    group.lastAt = now;
    if (--group.untilSample > 0) continue;
    group.untilSample = group.every;
    const digits = bytes.toString("latin1", at + 1, at + 1 + DIGITS);
    if (/^\d{19}$/.test(digits)) sample(group, BigInt(digits), nowNs, now);
    else group.unreadTimes++;
  }
}

/** @param {Group} group @param {bigint} sent @param {bigint} nowNs @param {number} now */
function sample(group, sent, nowNs, now) {
  group.latencies.push(Number(nowNs - sent) / 1000);
  if (!group.tracksSpread) return;
  const seen = group.spreads.get(sent);
  if (!seen) group.spreads.set(sent, { first: now, last: now, lastNs: nowNs, count: 1 });
  else {
    seen.last = now;
    seen.lastNs = nowNs;
    seen.count++;
  }
}

/** @param {number[]} sorted @param {number} q */
const quantile = (sorted, q) => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))] ?? 0;

/** @param {Group} group */
function report(group) {
  const latencies = group.latencies.sort((a, b) => a - b);
  const spreads = [...group.spreads].filter(([, { count }]) => count >= group.open);
  const between = spreads.map(([, { first, last }]) => (last - first) * 1000).sort((a, b) => a - b);
  const untilLast = spreads.map(([sent, { lastNs }]) => Number(lastNs - sent) / 1000).sort((a, b) => a - b);
  const cpu = process.cpuUsage(group.markedCpu);
  return {
    delivered: group.delivered,
    bytes: group.bytes,
    open: group.open - group.ended,
    ended: group.ended,
    failed: group.failed,
    ms: performance.now() - group.markedAt,
    firstMs: group.firstAt && group.firstAt - group.markedAt,
    lastMs: group.lastAt && group.lastAt - group.markedAt,
    samples: latencies.length,
    unreadTimes: group.unreadTimes,
    p50Us: quantile(latencies, 0.5),
    p99Us: quantile(latencies, 0.99),
    p999Us: quantile(latencies, 0.999),
    maxUs: latencies.at(-1) ?? 0,
    spreads: between.length,
    spreadP50Us: quantile(between, 0.5),
    spreadMaxUs: between.at(-1) ?? 0,
    untilLastP50Us: quantile(untilLast, 0.5),
    cpuUs: cpu.user + cpu.system,
  };
}

/**
 * Opens `count` connections, `parallel` at a time, and resolves when each is open or has failed.
 *
 * @param {any} command
 */
async function open({
  group: name = "all",
  port,
  paths = "/",
  count = 1,
  headers = "",
  parallel = 64,
  ...rest
}) {
  const group = /** @type {Group} */ ({
    requests: new Set(),
    responses: new Set(),
    open: 0,
    failed: 0,
    ended: 0,
    reading: rest.reading !== 0,
    every: rest.every ?? 7,
    tracksSpread: rest.spread === 1,
  });
  mark(group);
  groups.set(name, group);
  const began = performance.now();
  const pathList = paths.split("\n");
  const fields = Object.fromEntries(
    headers
      .split("\r\n")
      .filter(Boolean)
      .map((/** @type {string} */ line) => line.split(/: (.*)/).slice(0, 2)),
  );
  let next = 0;
  const worker = async () => {
    while (next < count) await openOne(group, port, pathList[next++ % pathList.length], fields);
  };
  await Promise.all(Array.from({ length: Math.min(parallel, count) }, worker));
  return { open: group.open - group.ended, failed: group.failed, ms: performance.now() - began };
}

/** @param {Group} group @param {number} port @param {string} path @param {Record<string, string>} headers */
function openOne(group, port, path, headers) {
  return new Promise((resolve) => {
    const request = get({
      host: "127.0.0.1",
      port,
      path,
      headers: { accept: "text/event-stream", ...headers },
      agent,
    });
    request.setNoDelay(true);
    let answered = false;
    group.requests.add(request);
    // An error after the response is its end, which its own `close` tells.
    request.on("error", () => {
      if (!answered) group.failed++;
      resolve(undefined);
    });
    request.once("response", (response) => {
      answered = true;
      if (response.statusCode !== 200) {
        group.failed++;
        response.destroy();
        return resolve(undefined);
      }
      group.open++;
      group.responses.add(response);
      response.on("error", () => undefined);
      response.once("close", () => group.ended++);
      response.on("data", (bytes) => take(group, bytes));
      follow(group, response);
      return resolve(undefined);
    });
  });
}

/** @param {any} command */
async function drain({ group = "all", events = 0, withinMs = 0 }) {
  const wanted = groupNamed(group);
  const until = performance.now() + withinMs;
  while (wanted.delivered < events && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, CHECK_MS));
  }
  return report(wanted);
}

/** @param {Group} group @param {import("node:http").IncomingMessage} response */
function follow(group, response) {
  if (group.reading) response.resume();
  else response.pause();
}

/** @param {any} command */
function setReading({ group = "all", reading = 1 }) {
  const wanted = groupNamed(group);
  wanted.reading = reading === 1;
  for (const response of wanted.responses) follow(wanted, response);
  return { reading };
}

/** @param {any} command */
function close({ group = "all" }) {
  for (const request of groupNamed(group).requests) request.destroy();
  groups.delete(group);
  return { closed: 1 };
}

/** @param {string} name */
function groupNamed(name) {
  const group = groups.get(name);
  if (!group) throw new Error(`no such group: ${name}`);
  return group;
}

/** @type {Record<string, (command: any) => unknown>} */
const commands = {
  open,
  drain,
  close,
  reading: setReading,
  mark({ group = "all" }) {
    mark(groupNamed(group));
    return { marked: 1 };
  },
  quit: () => process.exit(0),
};

process.stdout.write('{"ready":1}\n');
for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  let reply;
  try {
    reply = (await commands[command.cmd]?.(command)) ?? { error: "unknown command" };
  } catch (error) {
    reply = { error: String(error) };
  }
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
process.exit(0);
