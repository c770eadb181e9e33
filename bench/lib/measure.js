import { rotated } from "./stats.js";

/**
 * @typedef {object} Pair a server under test and the clients that it serves
 * @property {import("./lines.js").LineProcess} server
 * @property {import("./lines.js").LineProcess} clients
 * @property {number} port
 */

/**
 * Runs both for as long as `use` needs them.
 *
 * @template T
 * @param {import("../run.js").Bench} bench
 * @param {() => import("./lines.js").LineProcess} start
 * @param {(pair: Pair) => Promise<T>} use
 * @returns {Promise<T>}
 */
export async function withServer({ generator }, start, use) {
  const server = start();
  const clients = generator.start();
  try {
    await clients.reply();
    const { port } = await server.reply();
    return await use({ server, clients, port });
  } finally {
    await Promise.all([server.close(), clients.close()]);
  }
}

/**
 * Runs several servers at once, each with clients of its own, so that they can be measured in turns that are as short as
 * one event: what disturbs one of them disturbs its neighbour.
 *
 * @template T
 * @param {import("../run.js").Bench} bench
 * @param {readonly (() => import("./lines.js").LineProcess)[]} starts
 * @param {(pairs: Pair[]) => Promise<T>} use
 * @param {Pair[]} [running]
 * @returns {Promise<T>}
 */
export function withServers(bench, starts, use, running = []) {
  const [start, ...rest] = starts;
  if (start === undefined) return use(running);
  return withServer(bench, start, (pair) => withServers(bench, rest, use, [...running, pair]));
}

/**
 * Opens connections, all of them or it throws.
 *
 * @param {Pair} pair
 * @param {{ count: number, paths?: string | string[], group?: string, [field: string]: unknown }} wanted
 *   `paths` are given to the connections in turn
 */
export async function openAll({ clients, port }, { paths = "/events?topics=ticks", ...wanted }) {
  const opened = await clients.call("open", { ...wanted, port, paths: [paths].flat().join("\n") });
  if (opened.open !== wanted.count)
    throw new Error(`only ${opened.open} of ${wanted.count} connections opened (ulimit -n?)`);
  return opened;
}

/**
 * Measures everybody once a round, each round another one first, so that what disturbs a round disturbs all.
 *
 * @template {{ label: string }} S
 * @template T
 * @param {import("../run.js").Bench} bench
 * @param {string} what
 * @param {readonly S[]} subjects
 * @param {(subject: S) => Promise<T>} measure
 * @returns {Promise<Map<string, T[]>>} by label
 */
export async function interleaved(bench, what, subjects, measure) {
  /** @type {Map<string, T[]>} */
  const rounds = new Map(subjects.map(({ label }) => [label, []]));
  for (let round = 0; round < bench.rounds; round++) {
    for (const subject of rotated(subjects, round)) {
      bench.progress(`${what}, round ${round + 1}: ${subject.label}`);
      try {
        rounds.get(subject.label)?.push(await measure(subject));
      } catch (error) {
        throw new Error(`${what}, ${subject.label}: ${error instanceof Error ? error.message : error}`);
      }
    }
  }
  return rounds;
}

/**
 * How many connections a row opens: what was asked for, else its own number, else a few.
 *
 * @param {import("../run.js").Bench} bench
 * @param {number} full
 */
export const sized = (bench, full) => bench.connections ?? (bench.quick ? Math.min(full, 100) : full);
