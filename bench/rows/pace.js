import { setTimeout as delay } from "node:timers/promises";
import { aimsTable, atMost } from "../lib/aims.js";
import { openAll, sized, withServers } from "../lib/measure.js";
import { median, pairedRatio, rotated } from "../lib/stats.js";
import { ms, times, whole } from "../lib/table.js";
import { OURS, startOurs, startServer } from "../peers.js";

/**
 * Events far apart, where nothing can be joined and each connection costs a system call: how long from the first
 * connection that has an event to the last, beside a loop of one `socket.write` each over bare sockets. Both servers
 * are up at once and have an event in turn, so that each figure stands beside one of the same moment.
 */

const BYTES = 150;
const EVERY_MS = 250;
const WARM_UP_MS = 500;
const WARM_UP_EVENTS = 4;
const EVENTS = 40;
const DRAIN_MS = 20_000;
const BARE = "one socket.write each, bare";

const SUBJECTS = [
  { label: BARE, start: () => startServer("sockets.js", BARE) },
  { label: OURS, start: startOurs },
];

/** @typedef {{ spreadUs: number, untilLastUs: number, lost: number, cpuUs: number }} Delivery of one event to all */

/**
 * @param {import("../lib/measure.js").Pair} pair
 * @param {number} connections
 * @param {Record<string, number>} publishing
 * @returns {Promise<Delivery>}
 */
async function publish({ server, clients }, connections, publishing) {
  await clients.call("mark");
  const before = await server.call("cpu");
  const { published } = await server.call("publish", { bytes: BYTES, ...publishing });
  const events = published * connections;
  const got = await clients.call("drain", { events, withinMs: DRAIN_MS });
  const after = await server.call("cpu");
  return {
    spreadUs: got.spreadP50Us,
    untilLastUs: got.untilLastP50Us,
    lost: events - got.delivered,
    cpuUs: after.cpuUs - before.cpuUs,
  };
}

/**
 * @param {import("../run.js").Bench} bench
 * @param {number} connections
 * @returns {Promise<Delivery[][]>} by subject
 */
function measure(bench, connections) {
  const starts = SUBJECTS.map(({ start }) => start);
  const everyMs = bench.quick ? EVERY_MS / 10 : EVERY_MS;
  return withServers(bench, starts, async (pairs) => {
    for (const pair of pairs) {
      await openAll(pair, { count: connections, every: 1, spread: 1 });
      await publish(pair, connections, { ms: bench.quick ? 50 : WARM_UP_MS });
      await publish(pair, connections, { events: WARM_UP_EVENTS, everyMs });
    }
    /** @type {Delivery[][]} */
    const seen = pairs.map(() => []);
    for (let event = 0; event < (bench.quick ? 4 : EVENTS); event++) {
      for (const index of rotated([...pairs.keys()], event)) {
        const pause = delay(everyMs / pairs.length);
        const pair = /** @type {import("../lib/measure.js").Pair} */ (pairs[index]);
        seen[index]?.push(await publish(pair, connections, { events: 1 }));
        await pause;
      }
    }
    return seen;
  });
}

/** @param {import("../run.js").Bench} bench */
export async function benchPace(bench) {
  const connections = sized(bench, 10_000);
  /** @type {Delivery[][]} */
  const seen = SUBJECTS.map(() => []);
  for (let round = 0; round < bench.rounds; round++) {
    bench.progress(`pace, round ${round + 1}: both servers in turn`);
    for (const [index, all] of (await measure(bench, connections)).entries()) seen[index]?.push(...all);
  }
  /** @param {string} label @param {keyof Delivery} key */
  const of = (label, key) =>
    (seen[SUBJECTS.findIndex((subject) => subject.label === label)] ?? []).map((event) => event[key]);
  const ratio = pairedRatio(of(OURS, "spreadUs"), of(BARE, "spreadUs"));
  const cpuRatio = pairedRatio(of(OURS, "cpuUs"), of(BARE, "cpuUs"));
  const results = SUBJECTS.map(({ label }) => ({
    label,
    connections,
    events: of(label, "spreadUs").length,
    spreadUs: median(of(label, "spreadUs")),
    spreadMaxUs: Math.max(...of(label, "spreadUs")),
    untilLastUs: median(of(label, "untilLastUs")),
    cpuUs: median(of(label, "cpuUs")),
    lost: of(label, "lost").reduce((sum, lost) => sum + lost, 0),
    timesBare: label === OURS ? ratio : 1,
    timesBareCpu: label === OURS ? cpuRatio : 1,
    each: of(label, "spreadUs"),
  }));
  const table = {
    title: `One ${BYTES}-byte event every ${EVERY_MS} ms to ${whole(connections)} connections`,
    header: [
      "",
      "first to last, p50",
      "× bare",
      "slowest event",
      "publish to last, p50",
      "CPU an event",
      "× bare",
      "lost",
    ],
    rows: results.map((r) => [
      r.label,
      ms(r.spreadUs),
      times(r.timesBare),
      ms(r.spreadMaxUs),
      ms(r.untilLastUs),
      ms(r.cpuUs),
      times(r.timesBareCpu),
      whole(r.lost),
    ]),
  };
  const aims = [atMost("first to last beside one socket.write each", ratio, 1.1, times)];
  return { results, aims, tables: [table, aimsTable(aims)] };
}
