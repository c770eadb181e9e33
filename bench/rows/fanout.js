import { aimsTable, atLeast, atMost } from "../lib/aims.js";
import { disturbances, measureFanout, summary } from "../lib/fanout.js";
import { interleaved, sized } from "../lib/measure.js";
import { pairedRatio } from "../lib/stats.js";
import { ms, percent, times, whole } from "../lib/table.js";
import { BETTER_SSE, HONO, NCHAN, OURS } from "../peers.js";

/**
 * Fan-out: one event after another, without a pause, to all connections.
 *
 * Delivered/s runs from the first publish until the last event has arrived, so nobody gains by buffering. The same
 * for each second of the server's own CPU time holds also where strangers take a part of its core.
 */

const BYTES = 150;

/**
 * Ours decide themselves how many events make a write. Others in Node are also shown with 16 events a turn of the event
 * loop, which lets node:http join their writes: what they gain when publishers come in bursts.
 *
 * @param {import("../run.js").Bench} bench
 * @returns {import("../lib/fanout.js").Contender[]}
 */
function contenders({ generator, peers }) {
  /** @type {import("../lib/fanout.js").Contender[]} */
  const list = [];
  const { ceiling } = generator;
  if (ceiling) {
    list.push({ label: "ceiling: C, one send() each", start: () => ceiling("send") });
    list.push({ label: "ceiling: C, 64 events a send()", start: () => ceiling("joined") });
  }
  for (const { name, start, ours, pressesBack } of peers) {
    list.push({ label: name, start, burst: 1 });
    if (!ours && !pressesBack) list.push({ label: `${name}, 16 a turn`, start, burst: 16 });
  }
  return list;
}

/** @param {import("../run.js").Bench} bench */
export async function benchFanout(bench) {
  const connections = sized(bench, 1000);
  const durationMs = bench.quick ? 150 : 1300;
  const rounds = await interleaved(bench, "fan-out", contenders(bench), (contender) =>
    measureFanout(bench, contender, { connections, bytes: BYTES, durationMs }),
  );
  /** @param {string} label @param {string} base */
  const ratio = (label, base) => {
    const of = (/** @type {string} */ name) => (rounds.get(name) ?? []).map((round) => round.perSecond);
    return rounds.has(base) ? pairedRatio(of(label), of(base)) : Number.NaN;
  };
  const results = [...rounds].map(([label, all]) => ({
    ...summary(label, all),
    connections,
    timesHono: ratio(label, HONO),
  }));
  const ours = results.find(({ label }) => label === OURS);
  const table = {
    title: `Fan-out to ${whole(connections)} connections, ${BYTES}-byte events back to back`,
    header: [
      "",
      "delivered/s",
      "× Hono",
      "a CPU second",
      "p50",
      "p99",
      "max",
      "lost",
      "server CPU",
      "generator CPU",
    ],
    rows: results.map((r) => [
      r.label,
      whole(r.perSecond),
      times(r.timesHono),
      whole(r.perCpuSecond),
      ms(r.p50Us),
      ms(r.p99Us),
      ms(r.maxUs),
      whole(r.lost),
      percent(r.serverCpu),
      percent(r.generatorCpu),
    ]),
    notes: [...bench.peerNotes, ...disturbances(results.filter(({ label }) => label !== NCHAN))],
  };
  const aims = [
    atLeast(`${OURS}, delivered/s`, ours?.perSecond, 1_500_000, whole),
    atMost(`${OURS}, p99`, ours?.p99Us, 30_000, ms),
    atLeast(`${OURS} beside better-sse`, ratio(OURS, BETTER_SSE), 15, times),
    atLeast(`${OURS} beside Nchan`, ratio(OURS, NCHAN), 10, times),
  ];
  return { results, aims, tables: [table, aimsTable(aims)] };
}
