import { aimsTable, atMost } from "../lib/aims.js";
import { interleaved, openAll, sized, withServer } from "../lib/measure.js";
import { median, pairedRatio } from "../lib/stats.js";
import { ms, number, percent, times, whole } from "../lib/table.js";
import { startOurs } from "../peers.js";

/**
 * One client in a hundred stops reading, for good. The kernel takes some 4 MB for each before the server notices, so
 * everybody is sent that and more before anything is measured, and much more while it is.
 */

const BYTES = 1000;
const SHARE = 0.01;
/** 8 MB each, so that what the kernel takes is full. */
const FILL_EVENTS = 8000;
const EVENTS = 16_000;
/** Memory is flat where no more than this share of what the stalled did not take is held for them. */
const FLAT = 0.05;
const DRAIN_MS = 60_000;

const NONE = "all are reading";
const SOME = "1 in 100 has stopped";

/**
 * @param {import("../run.js").Bench} bench
 * @param {{ reading: number, stalled: number, events: number }} subject
 */
function measure(bench, { reading, stalled, events }) {
  return withServer(bench, startOurs, async (pair) => {
    const { server, clients } = pair;
    await openAll(pair, { count: reading });
    if (stalled > 0) await openAll(pair, { group: "stalled", count: stalled, reading: 0 });
    /** @param {number} count */
    const publish = async (count) => {
      await clients.call("mark");
      const sent = await server.call("publish", { bytes: BYTES, events: count });
      const expected = count * reading;
      const got = await clients.call("drain", { events: expected, withinMs: DRAIN_MS });
      return { ...got, lost: expected - got.delivered, serverCpu: sent.cpuUs / 1000 / sent.ms };
    };
    await publish(bench.quick ? 200 : FILL_EVENTS);
    const before = await server.call("memory", { settleMs: 500 });
    const got = await publish(events);
    const after = await server.call("memory", { settleMs: 500 });
    const { ended, open } = stalled > 0 ? await clients.call("drain", { group: "stalled" }) : noneStalled;
    return {
      perSecond: (got.delivered / got.lastMs) * 1000,
      p50Us: got.p50Us,
      p99Us: got.p99Us,
      lost: got.lost,
      serverCpu: got.serverCpu,
      rssMB: before.rssBytes / 1e6,
      grownMB: (after.rssBytes - before.rssBytes) / 1e6,
      stalledOpen: open,
      stalledCut: ended,
    };
  });
}

const noneStalled = { open: 0, ended: 0 };

/** @param {import("../run.js").Bench} bench */
export async function benchStalled(bench) {
  const connections = sized(bench, 1000);
  const stalled = Math.max(1, Math.round(connections * SHARE));
  const reading = connections - stalled;
  const events = bench.quick ? 400 : EVENTS;
  const subjects = [
    { label: NONE, reading, stalled: 0, events },
    { label: SOME, reading, stalled, events },
  ];
  const rounds = await interleaved(bench, "stalled clients", subjects, (subject) => measure(bench, subject));
  const results = subjects.map((subject) => {
    const all = rounds.get(subject.label) ?? [];
    /** @param {keyof typeof all[number]} key */
    const of = (key) => median(all.map((round) => round[key]));
    return {
      ...subject,
      perSecond: of("perSecond"),
      p50Us: of("p50Us"),
      p99Us: of("p99Us"),
      lost: all.reduce((sum, { lost }) => sum + lost, 0),
      serverCpu: of("serverCpu"),
      rssMB: of("rssMB"),
      grownMB: of("grownMB"),
      stalledOpen: of("stalledOpen"),
      rounds: all,
    };
  });
  const p99 = (/** @type {string} */ label) => (rounds.get(label) ?? []).map(({ p99Us }) => p99Us);
  const [none, some] = results;
  const meantMB = (stalled * events * BYTES) / 1e6;
  const table = {
    title: `${whole(reading)} clients that read, beside ${whole(stalled)} that don't; ${whole(events)} events of ${whole(BYTES)} bytes back to back`,
    header: [
      "",
      "delivered/s",
      "p50",
      "p99",
      "lost",
      "server CPU",
      "memory",
      "grown by",
      "stalled, still open",
    ],
    rows: results.map((r) => [
      r.label,
      whole(r.perSecond),
      ms(r.p50Us),
      ms(r.p99Us),
      whole(r.lost),
      percent(r.serverCpu),
      `${number(r.rssMB)} MB`,
      `${number(r.grownMB)} MB`,
      r.stalled > 0 ? whole(r.stalledOpen) : "",
    ]),
  };
  const aims = [
    atMost("the readers' p99 beside nobody stalled", pairedRatio(p99(SOME), p99(NONE)), 1.2, times),
    atMost(
      `memory more than beside nobody stalled, of ${number(meantMB)} MB for the stalled`,
      some && none ? some.grownMB - none.grownMB : undefined,
      meantMB * FLAT,
      (mb) => `${number(mb)} MB`,
    ),
  ];
  return { results, aims, tables: [table, aimsTable(aims)] };
}
