import { aimsTable, atLeast, atMost } from "../lib/aims.js";
import { interleaved, openAll, sized, withServer } from "../lib/measure.js";
import { median, pairedRatio } from "../lib/stats.js";
import { ms, percent, times, whole } from "../lib/table.js";
import { NODE, startOurs, startServer } from "../peers.js";

/**
 * Everybody is cut off, as by a balancer that restarts, misses 100 events, and comes back at once, while others are sent
 * live events on another topic. The server is warm: that has happened to it before. What only opening so many connections
 * costs the live ones is shown, too, and what it costs them on a bare node:http; and what all of it is on a server that has
 * just started, whose code no compiler has looked at yet. The live ones are watched by a process of their own: the one that
 * opens 4,000 connections at once has no eyes for anything else meanwhile.
 */

const BYTES = 150;
const PAST = 100;
const LIVE = 200;
/** Few enough that they take some tenth of the core. */
const LIVE_EVERY_MS = 20;
/** How long the live subscribers are watched where nobody comes back. */
const QUIET_MS = 1500;
const WITHIN_MS = 30_000;
/** How often they have come back to a server that is warm. */
const TIMES_BEFORE = 3;
/** How many connections are being opened at any time: about as many as a server's queue of new ones takes. */
const AT_ONCE = 4000;

const QUIET = "nobody returns";
const OPENING = "they return, having missed nothing";
const REPLAY = "they return, having missed 100 events";

/** What node:http itself takes to answer as many, beside the same live events. */
const BARE = `${NODE}: they return to a bare response`;

const startBare = () => startServer("node-http.js", NODE);

const JUST_STARTED = "to a server just started";
/** `warm`: whether all of it has happened to the server before. */
const SUBJECTS = [
  { label: BARE, start: startBare, warm: true, returning: true, missed: 0 },
  { label: QUIET, start: startOurs, warm: true, returning: false, missed: 0 },
  { label: OPENING, start: startOurs, warm: true, returning: true, missed: 0 },
  { label: REPLAY, start: startOurs, warm: true, returning: true, missed: PAST },
  { label: `${BARE}, ${JUST_STARTED}`, start: startBare, warm: false, returning: true, missed: 0 },
  { label: `${REPLAY}, ${JUST_STARTED}`, start: startOurs, warm: false, returning: true, missed: PAST },
];

/**
 * What the live subscribers see while others come back.
 *
 * @param {import("../run.js").Bench} bench
 * @param {typeof SUBJECTS[number]} subject
 * @param {number} connections
 */
function measure(bench, { start, ...subject }, connections) {
  const quietMs = bench.quick ? 200 : QUIET_MS;
  return withServer(bench, start, async (pair) => {
    const watcher = bench.generator.start();
    try {
      await watcher.reply();
      return await watched({ ...pair, watcher }, { ...subject, quietMs }, connections);
    } finally {
      await watcher.close();
    }
  });
}

/**
 * @param {import("../lib/measure.js").Pair & { watcher: import("../lib/lines.js").LineProcess }} running
 * @param {{ warm: boolean, returning: boolean, missed: number, quietMs: number }} subject
 * @param {number} connections
 */
async function watched({ watcher, ...pair }, { warm, returning, missed, quietMs }, connections) {
  const { server } = pair;
  const live = Math.min(LIVE, connections);
  await openAll(
    { ...pair, clients: watcher },
    { group: "live", paths: "/events?topics=live", count: live, every: 1 },
  );
  let path = await missAndReturn(server, missed);
  for (let time = 0; warm && time < TIMES_BEFORE; time++) {
    await comeBack(pair, path, connections, missed);
    await pair.clients.call("close", { group: "returning" });
    path = await missAndReturn(server, missed);
  }
  // Nobody's leaving is left to be seen after this.
  await server.call("publish", { topics: ["live"], ms: quietMs / 2, everyMs: LIVE_EVERY_MS, bytes: BYTES });

  await watcher.call("mark", { group: "live" });
  const background = { background: true, topics: ["live"], everyMs: LIVE_EVERY_MS, bytes: BYTES };
  await server.call("publish", background);
  const before = await server.call("cpu");
  const began = performance.now();
  const got = returning ? await comeBack(pair, path, connections, missed) : undefined;
  const sight = { group: "live", events: returning ? 0 : Number.MAX_SAFE_INTEGER, withinMs: quietMs };
  const seen = await watcher.call("drain", sight);
  const after = await server.call("cpu");
  const cpuMs = (after.cpuUs - before.cpuUs) / 1000;
  return {
    ...got,
    p50Us: seen.p50Us,
    p99Us: seen.p99Us,
    serverCpu: cpuMs / (performance.now() - began),
    cpuEachUs: returning ? (cpuMs * 1000) / connections : Number.NaN,
    perCpuSecond: got && missed > 0 ? (connections * missed * 1000) / cpuMs : Number.NaN,
  };
}

/**
 * Publishes what they are to miss. Resolves with the path that they return by.
 *
 * @param {import("../lib/lines.js").LineProcess} server
 * @param {number} missed
 */
async function missAndReturn(server, missed) {
  const { last: cursor } = await server.call("publish", { topics: ["past"], events: 1, bytes: BYTES });
  if (missed > 0) await server.call("publish", { topics: ["past"], events: missed, bytes: BYTES });
  return `/events?topics=past&lastEventId=${cursor}`;
}

/**
 * @param {import("../lib/measure.js").Pair} pair
 * @param {string} path
 * @param {number} connections
 * @param {number} missed
 */
async function comeBack(pair, path, connections, missed) {
  const events = connections * missed;
  const opened = await openAll(pair, {
    group: "returning",
    paths: path,
    count: connections,
    parallel: AT_ONCE,
  });
  const got = await pair.clients.call("drain", { group: "returning", events, withinMs: WITHIN_MS });
  return {
    openedMs: opened.ms,
    doneMs: missed > 0 ? got.lastMs : opened.ms,
    perSecond: (got.delivered / got.lastMs) * 1000,
    lost: events - got.delivered,
  };
}

/** @param {import("../run.js").Bench} bench */
export async function benchReplay(bench) {
  const connections = sized(bench, 5000);
  const rounds = await interleaved(bench, "replay", SUBJECTS, (subject) =>
    measure(bench, subject, connections),
  );
  const results = SUBJECTS.map(({ label }) => {
    const all = rounds.get(label) ?? [];
    /** @param {keyof typeof all[number]} key */
    const of = (key) => median(all.map((round) => round[key] ?? Number.NaN));
    return {
      label,
      connections,
      openedMs: of("openedMs"),
      doneMs: of("doneMs"),
      perSecond: of("perSecond"),
      perCpuSecond: of("perCpuSecond"),
      serverCpu: of("serverCpu"),
      cpuEachUs: of("cpuEachUs"),
      liveP50Us: of("p50Us"),
      liveP99Us: of("p99Us"),
      lost: all.reduce((sum, { lost = 0 }) => sum + lost, 0),
      rounds: all,
    };
  });
  const p99 = (/** @type {string} */ label) => (rounds.get(label) ?? []).map(({ p99Us }) => p99Us);
  const table = {
    title: `${whole(connections)} clients return at once, ${PAST} events of ${BYTES} bytes behind; ${whole(Math.min(LIVE, connections))} others have one every ${LIVE_EVERY_MS} ms`,
    header: [
      "",
      "all open after",
      "all read after",
      "events/s",
      "a CPU second",
      "CPU a client",
      "lost",
      "live p50",
      "live p99",
      "× quiet",
      "server CPU",
    ],
    rows: results.map((r) => [
      r.label,
      ms(r.openedMs * 1000),
      ms(r.doneMs * 1000),
      r.perSecond > 0 ? whole(r.perSecond) : "–",
      whole(r.perCpuSecond),
      r.cpuEachUs > 0 ? `${whole(r.cpuEachUs)} µs` : "–",
      whole(r.lost),
      ms(r.liveP50Us),
      ms(r.liveP99Us),
      times(pairedRatio(p99(r.label), p99(QUIET))),
      percent(r.serverCpu),
    ]),
  };
  const replayed = results.find(({ label }) => label === REPLAY);
  const aims = [
    atLeast("events/s, from the first connection on", replayed?.perSecond, 500_000, whole),
    atMost("live p99 beside nobody returning", pairedRatio(p99(REPLAY), p99(QUIET)), 2, times),
    atMost("live p99 beside returning to nothing", pairedRatio(p99(REPLAY), p99(OPENING)), 2, times),
    atMost("live p99 beside node:http opening as many", pairedRatio(p99(REPLAY), p99(BARE)), 2, times),
  ];
  return { results, aims, tables: [table, aimsTable(aims)] };
}
