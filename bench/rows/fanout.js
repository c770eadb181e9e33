import { median, pairedRatio, rotated } from "../lib/stats.js";
import { ms, percent, section, times, whole } from "../lib/table.js";
import { HONO } from "../peers.js";

/**
 * Fan-out: one event after another, without a pause, to all connections.
 *
 * Delivered/s runs from the first publish until the last event has arrived, so nobody gains by buffering. The same
 * for each second of the server's own CPU time holds also where strangers take a part of its core.
 */

const BYTES = 150;
const WARM_UP_MS = 500;
/** How long the last events may take to arrive after the publisher stopped. */
const DRAIN_MS = 20_000;
const FULL_CORE = 0.9;

/** @typedef {{ label: string, start: () => import("../lib/lines.js").LineProcess, burst: number }} Contender */
/** @typedef {{ perSecond: number, perCpuSecond: number, p50Us: number, p99Us: number, maxUs: number, lost: number, serverCpu: number, generatorCpu: number }} Round */

/**
 * Ours decide themselves how many events make a write. The others are also shown with 16 events a turn of the event
 * loop, which lets node:http join their writes: what they gain when publishers come in bursts.
 *
 * @param {import("../run.js").Bench} bench
 * @returns {Contender[]}
 */
function contenders({ generator, peers }) {
  /** @type {Contender[]} */
  const list = [];
  const { ceiling } = generator;
  if (ceiling) {
    list.push({ label: "ceiling: C, one send() each", start: () => ceiling("send"), burst: 1 });
    list.push({ label: "ceiling: C, 64 events a send()", start: () => ceiling("joined"), burst: 1 });
  }
  for (const { name, start, ours } of peers) {
    list.push({ label: name, start, burst: 1 });
    if (!ours) list.push({ label: `${name}, 16 a turn`, start, burst: 16 });
  }
  return list;
}

/**
 * @param {import("../run.js").Bench} bench
 * @param {Contender} contender
 * @param {number} connections
 * @param {number} durationMs
 * @returns {Promise<Round>}
 */
async function measure({ generator, quick }, contender, connections, durationMs) {
  const withinMs = quick ? DRAIN_MS / 4 : DRAIN_MS;
  const server = contender.start();
  const clients = generator.start();
  try {
    await clients.reply();
    const { port } = await server.reply();
    const opened = await clients.call("open", { port, count: connections, paths: "/events?topics=ticks" });
    if (opened.open !== connections)
      throw new Error(`${contender.label}: only ${opened.open} connections opened`);
    await clients.call("mark");
    const publishing = { bytes: BYTES, burst: contender.burst };
    const warmUp = await server.call("publish", { ...publishing, ms: Math.min(WARM_UP_MS, durationMs) });
    await clients.call("drain", { events: warmUp.published * connections, withinMs });
    await clients.call("mark");
    const before = await server.call("cpu");
    const sent = await server.call("publish", { ...publishing, ms: durationMs });
    const expected = sent.published * connections;
    const got = await clients.call("drain", { events: expected, withinMs });
    const after = await server.call("cpu");
    return {
      perSecond: (got.delivered / got.lastMs) * 1000,
      perCpuSecond: (got.delivered / (after.cpuUs - before.cpuUs)) * 1e6,
      p50Us: got.p50Us,
      p99Us: got.p99Us,
      maxUs: got.maxUs,
      lost: expected - got.delivered,
      serverCpu: sent.cpuUs / 1000 / sent.ms,
      generatorCpu: got.cpuUs / 1000 / got.ms,
    };
  } finally {
    await Promise.all([server.close(), clients.close()]);
  }
}

/** @param {import("../run.js").Bench} bench */
export async function benchFanout(bench) {
  const connections = bench.connections ?? (bench.quick ? 100 : 1000);
  const durationMs = bench.quick ? 150 : 1300;
  const list = contenders(bench);
  /** @type {Map<string, Round[]>} */
  const rounds = new Map(list.map(({ label }) => [label, []]));
  for (let round = 0; round < bench.rounds; round++) {
    for (const contender of rotated(list, round)) {
      bench.progress(`fan-out, round ${round + 1}: ${contender.label}`);
      rounds.get(contender.label)?.push(await measure(bench, contender, connections, durationMs));
    }
  }
  const base = rounds.get(HONO)?.map((r) => r.perSecond);
  const results = [...rounds].map(([label, all]) => summary(label, all, base));
  const table = section(
    `Fan-out to ${whole(connections)} connections, ${BYTES}-byte events back to back`,
    ["", "delivered/s", "× Hono", "a CPU second", "p50", "p99", "max", "lost", "server CPU", "generator CPU"],
    results.map((r) => [
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
  );
  return {
    results: results.map((result) => ({ ...result, connections, rounds: rounds.get(result.label) })),
    text: table + disturbances(results),
  };
}

/**
 * Servers that publish without a pause use their core up, or wait for the generator. One that did neither shared the
 * core with strangers, and could have done more.
 *
 * @param {ReturnType<typeof summary>[]} results
 */
function disturbances(results) {
  const robbed = results.filter((r) => r.serverCpu < FULL_CORE && r.generatorCpu < FULL_CORE);
  if (robbed.length === 0) return "";
  const least = percent(Math.min(...robbed.map((r) => r.serverCpu)));
  return `\n  Disturbed! Something else took the server's core: it had as little as ${least}. Run again on a quiet machine.`;
}

/**
 * @param {string} label
 * @param {Round[]} rounds
 * @param {number[] | undefined} base
 */
function summary(label, rounds, base) {
  /** @param {keyof Round} key */
  const of = (key) => median(rounds.map((round) => round[key]));
  return {
    label,
    perSecond: of("perSecond"),
    timesHono: base
      ? pairedRatio(
          rounds.map((r) => r.perSecond),
          base,
        )
      : Number.NaN,
    perCpuSecond: of("perCpuSecond"),
    p50Us: of("p50Us"),
    p99Us: of("p99Us"),
    maxUs: of("maxUs"),
    lost: rounds.reduce((sum, round) => sum + round.lost, 0),
    serverCpu: of("serverCpu"),
    generatorCpu: of("generatorCpu"),
  };
}
