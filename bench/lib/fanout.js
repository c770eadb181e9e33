import { openAll, withServer } from "./measure.js";
import { median } from "./stats.js";

const WARM_UP_MS = 500;
/** How long the last events may take to arrive after the publisher stopped. */
const DRAIN_MS = 20_000;

/** @typedef {{ label: string, start: () => import("./lines.js").LineProcess, burst?: number }} Contender */
/** @typedef {{ perSecond: number, perCpuSecond: number, p50Us: number, p99Us: number, maxUs: number, lost: number, serverCpu: number, generatorCpu: number }} Round */

/**
 * @typedef {object} Fanout
 * @property {number} connections
 * @property {number} bytes of an event's data
 * @property {number} durationMs
 * @property {string[]} [paths] given to the connections in turn
 * @property {string[]} [topics] published to in turn
 * @property {(published: number) => number} [deliveries] how many that makes in all; else one a connection
 */

/**
 * Publishes without a pause, and has it counted until the last event has arrived: nobody gains by buffering.
 *
 * @param {import("../run.js").Bench} bench
 * @param {Contender} contender
 * @param {Fanout} options
 * @returns {Promise<Round>}
 */
export function measureFanout(bench, contender, options) {
  const { connections, bytes, durationMs, paths, topics } = options;
  const deliveries = options.deliveries ?? ((published) => published * connections);
  const publishing = { bytes, burst: contender.burst, ...(topics && { topics }) };
  return withServer(bench, contender.start, async (pair) => {
    const { server, clients } = pair;
    await openAll(pair, { count: connections, ...(paths && { paths }) });
    await clients.call("mark");
    const warmUp = await server.call("publish", { ...publishing, ms: Math.min(WARM_UP_MS, durationMs) });
    await clients.call("drain", { events: deliveries(warmUp.published), withinMs: DRAIN_MS });
    await clients.call("mark");
    const before = await server.call("cpu");
    const sent = await server.call("publish", { ...publishing, ms: durationMs });
    const expected = deliveries(sent.published);
    const got = await clients.call("drain", { events: expected, withinMs: DRAIN_MS });
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
  });
}

/**
 * Medians of the rounds, and all that was lost in any.
 *
 * @param {string} label
 * @param {Round[]} rounds
 */
export function summary(label, rounds) {
  /** @param {keyof Round} key */
  const of = (key) => median(rounds.map((round) => round[key]));
  return {
    label,
    perSecond: of("perSecond"),
    perCpuSecond: of("perCpuSecond"),
    p50Us: of("p50Us"),
    p99Us: of("p99Us"),
    maxUs: of("maxUs"),
    lost: rounds.reduce((sum, round) => sum + round.lost, 0),
    serverCpu: of("serverCpu"),
    generatorCpu: of("generatorCpu"),
    rounds,
  };
}

const FULL_CORE = 0.9;

/**
 * Servers that publish without a pause use their core up, or wait for the generator. One that did neither shared the
 * core with strangers, and could have done more.
 *
 * @param {{ serverCpu: number, generatorCpu: number }[]} results
 * @returns {string[]}
 */
export function disturbances(results) {
  const robbed = results.filter((r) => r.serverCpu < FULL_CORE && r.generatorCpu < FULL_CORE);
  if (robbed.length === 0) return [];
  const least = Math.round(Math.min(...robbed.map((r) => r.serverCpu)) * 100);
  return [
    `Disturbed! Something else took the server's core: it had as little as ${least} %. Run again on a quiet machine.`,
  ];
}
