import { aimsTable, atMost } from "../lib/aims.js";
import { openAll, sized, withServers } from "../lib/measure.js";
import { median, pairedRatio, rotated } from "../lib/stats.js";
import { ms, number, percent, times, whole } from "../lib/table.js";
import { startOurs } from "../peers.js";

/**
 * One client in a hundred stops reading, for good. The kernel takes some 4 MB for each before the server notices, so
 * everybody is sent that and more before anything is measured, and much more while it is. Two servers are up at once, one
 * with stalled clients and one without, and publish in turn: p99 is a matter of what else the machine does, and what that
 * is lasts longer than a turn.
 */

const BYTES = 1000;
const SHARE = 0.01;
/** 8 MB each, so that what the kernel takes is full. */
const FILL_EVENTS = 8000;
/** Of each turn. */
const EVENTS = 2000;
const TURNS = 8;
/** Memory is flat where no more than this share of what the stalled did not take is held for them. */
const FLAT = 0.05;
const DRAIN_MS = 60_000;

const NONE = "all are reading";
const SOME = "1 in 100 has stopped";

/** @typedef {{ perSecond: number, p50Us: number, p99Us: number, lost: number, serverCpu: number, cpuUs: number }} Turn */

/**
 * @param {import("../lib/measure.js").Pair} pair
 * @param {number} reading
 * @param {number} events
 * @returns {Promise<Turn>}
 */
async function publish({ server, clients }, reading, events) {
  await clients.call("mark");
  const before = await server.call("cpu");
  const sent = await server.call("publish", { bytes: BYTES, events });
  const expected = events * reading;
  const got = await clients.call("drain", { events: expected, withinMs: DRAIN_MS });
  const after = await server.call("cpu");
  return {
    perSecond: (got.delivered / got.lastMs) * 1000,
    p50Us: got.p50Us,
    p99Us: got.p99Us,
    lost: expected - got.delivered,
    serverCpu: sent.cpuUs / 1000 / sent.ms,
    cpuUs: after.cpuUs - before.cpuUs,
  };
}

/**
 * @param {import("../run.js").Bench} bench
 * @param {{ reading: number, stalled: number }[]} subjects
 */
function measure(bench, subjects) {
  const settleMs = 500;
  const starts = subjects.map(() => startOurs);
  return withServers(bench, starts, async (pairs) => {
    const all = [];
    for (const [index, subject] of subjects.entries()) {
      const pair = /** @type {import("../lib/measure.js").Pair} */ (pairs[index]);
      const { reading, stalled } = subject;
      await openAll(pair, { count: reading });
      if (stalled > 0) await openAll(pair, { group: "stalled", count: stalled, reading: 0 });
      await publish(pair, reading, bench.quick ? 200 : FILL_EVENTS);
      const before = await pair.server.call("memory", { settleMs });
      all.push({ subject, pair, before, turns: /** @type {Turn[]} */ ([]) });
    }
    for (let turn = 0; turn < (bench.quick ? 2 : TURNS); turn++) {
      for (const { subject, pair, turns } of rotated(all, turn)) {
        turns.push(await publish(pair, subject.reading, bench.quick ? 200 : EVENTS));
      }
    }
    const measured = [];
    for (const { subject, pair, before, turns } of all) {
      const after = await pair.server.call("memory", { settleMs });
      const group = "stalled";
      const { ended, open } =
        subject.stalled > 0 ? await pair.clients.call("drain", { group }) : { open: 0, ended: 0 };
      measured.push({
        turns,
        rssMB: before.rssBytes / 1e6,
        grownMB: (after.rssBytes - before.rssBytes) / 1e6,
        stalledOpen: open,
        stalledCut: ended,
      });
    }
    return measured;
  });
}

/** @param {import("../run.js").Bench} bench */
export async function benchStalled(bench) {
  const connections = sized(bench, 1000);
  const stalled = Math.max(1, Math.round(connections * SHARE));
  const reading = connections - stalled;
  const events = bench.quick ? 400 : EVENTS * TURNS;
  const subjects = [
    { label: NONE, reading, stalled: 0, events },
    { label: SOME, reading, stalled, events },
  ];
  /** @type {Awaited<ReturnType<typeof measure>>[]} */
  const rounds = [];
  for (let round = 0; round < bench.rounds; round++) {
    bench.progress(`stalled clients, round ${round + 1}: both servers in turn`);
    rounds.push(await measure(bench, subjects));
  }
  const results = subjects.map((subject, index) => {
    const all = rounds.flatMap((round) => round[index] ?? []);
    const turns = all.flatMap((round) => round.turns);
    /** @param {keyof Turn} key */
    const of = (key) => median(turns.map((turn) => turn[key]));
    /** @param {"rssMB" | "grownMB" | "stalledOpen"} key */
    const whole = (key) => median(all.map((round) => round[key]));
    return {
      ...subject,
      perSecond: of("perSecond"),
      p50Us: of("p50Us"),
      p99Us: of("p99Us"),
      lost: turns.reduce((sum, { lost }) => sum + lost, 0),
      serverCpu: of("serverCpu"),
      cpuUs: of("cpuUs"),
      rssMB: whole("rssMB"),
      grownMB: whole("grownMB"),
      stalledOpen: whole("stalledOpen"),
      rounds: all,
    };
  });
  const [none, some] = results;
  /** @param {"p99Us" | "cpuUs"} key */
  const beside = (key) => {
    const turns = (/** @type {typeof none} */ of) =>
      (of?.rounds ?? []).flatMap((round) => round.turns.map((turn) => turn[key]));
    return pairedRatio(turns(some), turns(none));
  };
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
    atMost("the readers' p99 beside nobody stalled, turn by turn", beside("p99Us"), 1.2, times),
    atMost("the server's CPU beside nobody stalled, turn by turn", beside("cpuUs"), 1.2, times),
    atMost(
      `memory more than beside nobody stalled, of ${number(meantMB)} MB for the stalled`,
      some && none ? some.grownMB - none.grownMB : undefined,
      meantMB * FLAT,
      (mb) => `${number(mb)} MB`,
    ),
  ];
  return { results, aims, tables: [table, aimsTable(aims)] };
}
