import { median, pairedRatio, rotated } from "../lib/stats.js";
import { number, section, times, whole } from "../lib/table.js";
import { HONO } from "../peers.js";

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
async function measure({ generator }, peer, count) {
  const server = peer.start();
  const client = generator.start();
  /** @param {number} events @param {number} perTurn */
  const read = async (events, perTurn) => {
    await client.call("open", { port, count: 1, paths: `/tokens?count=${events}&perTurn=${perTurn}` });
    const got = await client.call("drain", { events, withinMs: DRAIN_MS });
    if (got.delivered !== events)
      throw new Error(`${peer.name}: ${got.delivered} of ${events} tokens arrived`);
    await client.call("close");
  };
  let port = 0;
  try {
    await client.reply();
    port = (await server.reply()).port;
    const seconds = [];
    for (const { perTurn } of PACES) {
      await read(Math.ceil(count / 5), perTurn);
      const before = await server.call("cpu");
      await read(count, perTurn);
      const after = await server.call("cpu");
      seconds.push((after.cpuUs - before.cpuUs) / 1e6);
    }
    return seconds;
  } finally {
    await Promise.all([server.close(), client.close()]);
  }
}

/** @param {import("../run.js").Bench} bench */
export async function benchTokens(bench) {
  const count = bench.quick ? 5000 : 100_000;
  /** @type {Map<string, number[][]>} by peer, round, pace */
  const rounds = new Map(bench.peers.map(({ name }) => [name, []]));
  for (let round = 0; round < bench.rounds; round++) {
    for (const peer of rotated(bench.peers, round)) {
      bench.progress(`tokens, round ${round + 1}: ${peer.name}`);
      rounds.get(peer.name)?.push(await measure(bench, peer, count));
    }
  }
  /** @param {string} name @param {number} pace */
  const secondsOf = (name, pace) =>
    rounds.get(name)?.map((byPace) => /** @type {number} */ (byPace[pace])) ?? [];
  const results = bench.peers.map(({ name }) => ({
    label: name,
    paces: PACES.map(({ perTurn }, pace) => ({
      perTurn,
      cpuSeconds: median(secondsOf(name, pace)),
      shareOfHono: pairedRatio(secondsOf(name, pace), secondsOf(HONO, pace)),
      rounds: secondsOf(name, pace),
    })),
  }));
  return {
    results: results.map((result) => ({ ...result, count })),
    text: section(
      `One handler writing ${whole(count)} tokens to one client: the server's CPU`,
      ["", ...PACES.flatMap(({ title }) => [`CPU, ${title}`, "Hono's is"])],
      results.map((r) => [
        r.label,
        ...r.paces.flatMap((pace) => [`${number(pace.cpuSeconds)} s`, times(1 / pace.shareOfHono)]),
      ]),
    ),
  };
}
