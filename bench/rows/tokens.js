import { aimsTable, atLeast } from "../lib/aims.js";
import { withServer } from "../lib/measure.js";
import { median, pairedRatio, rotated } from "../lib/stats.js";
import { number, times, whole } from "../lib/table.js";
import { HONO, OURS } from "../peers.js";

/** One handler writing tokens to one client, as an LLM route does: what it costs the server's CPU. */

const DRAIN_MS = 30_000;

/**
 * How a provider's tokens come in: all of them waiting already, or some with each turn of the event loop. At one a turn
 * each is a system call of its own whoever writes it, which is most of what it costs.
 */
const PACES = [
  { perTurn: 0, title: "all at hand" },
  { perTurn: 10, title: "10 a turn" },
  { perTurn: 1, title: "1 a turn" },
];

/**
 * CPU seconds of the whole server process while one client takes `count` tokens, after a warm-up on the same server.
 *
 * @param {import("../run.js").Bench} bench
 * @param {import("../peers.js").Peer} peer
 * @param {number} count
 * @returns {Promise<number[]>} by pace
 */
function measure(bench, peer, count) {
  return withServer(bench, peer.start, async ({ server, clients, port }) => {
    /** @param {number} events @param {number} perTurn */
    const read = async (events, perTurn) => {
      await clients.call("open", { port, count: 1, paths: `/tokens?count=${events}&perTurn=${perTurn}` });
      const got = await clients.call("drain", { events, withinMs: DRAIN_MS });
      if (got.delivered !== events)
        throw new Error(`${peer.name}: ${got.delivered} of ${events} tokens arrived`);
      await clients.call("close");
    };
    const seconds = [];
    for (const { perTurn } of PACES) {
      await read(Math.ceil(count / 5), perTurn);
      const before = await server.call("cpu");
      await read(count, perTurn);
      const after = await server.call("cpu");
      seconds.push((after.cpuUs - before.cpuUs) / 1e6);
    }
    return seconds;
  });
}

/** @param {import("../run.js").Bench} bench */
export async function benchTokens(bench) {
  const count = bench.quick ? 5000 : 100_000;
  const peers = bench.peers.filter(({ fanoutAlone }) => !fanoutAlone);
  /** @type {Map<string, number[][]>} by peer, round, pace */
  const rounds = new Map(peers.map(({ name }) => [name, []]));
  for (let round = 0; round < bench.rounds; round++) {
    for (const peer of rotated(peers, round)) {
      bench.progress(`tokens, round ${round + 1}: ${peer.name}`);
      rounds.get(peer.name)?.push(await measure(bench, peer, count));
    }
  }
  /** @param {string} name @param {number} pace */
  const secondsOf = (name, pace) =>
    rounds.get(name)?.map((byPace) => /** @type {number} */ (byPace[pace])) ?? [];
  const results = peers.map(({ name }) => ({
    label: name,
    paces: PACES.map(({ perTurn }, pace) => ({
      perTurn,
      cpuSeconds: median(secondsOf(name, pace)),
      shareOfHono: pairedRatio(secondsOf(name, pace), secondsOf(HONO, pace)),
      rounds: secondsOf(name, pace),
    })),
  }));
  const table = {
    title: `One handler writing ${whole(count)} tokens to one client: the server's CPU`,
    header: ["", ...PACES.flatMap(({ title }) => [`CPU, ${title}`, "Hono's is"])],
    rows: results.map((r) => [
      r.label,
      ...r.paces.flatMap((pace) => [`${number(pace.cpuSeconds)} s`, times(1 / pace.shareOfHono)]),
    ]),
  };
  const ours = results.find(({ label }) => label === OURS)?.paces[0];
  const aims = [atLeast(`Hono's CPU beside ${OURS}'s, all at hand`, ours && 1 / ours.shareOfHono, 6, times)];
  return { results: results.map((result) => ({ ...result, count })), aims, tables: [table, aimsTable(aims)] };
}
