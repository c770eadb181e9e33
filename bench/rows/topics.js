import { aimsTable, atLeast, atMost } from "../lib/aims.js";
import { disturbances, measureFanout, summary } from "../lib/fanout.js";
import { interleaved, openAll, sized, withServer } from "../lib/measure.js";
import { ms, number, percent, times, whole } from "../lib/table.js";
import { startOurs } from "../peers.js";

/**
 * Sessions that do not all follow the same: each on two of a hundred topics, which are published to in turn; and each on
 * a topic of its own beside a common one, as users of an application are, with an event for all of them.
 */

const BYTES = 150;
const TOPICS = 100;
const SEED = 42;
const PAIRS = "two of 100 topics each, in turn";
const OWN = "own topic + a common one: to all";
const COMMON = "the common one alone";
const WARM_UP = 200;

/** Numbers that look random and are the same in every run. @param {number} seed */
function randomNumbers(seed) {
  let state = seed;
  return (/** @type {number} */ below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** @param {number} connections */
function pairsOf(connections) {
  const random = randomNumbers(SEED);
  const followers = new Array(TOPICS).fill(0);
  const paths = Array.from({ length: connections }, () => {
    const first = random(TOPICS);
    const second = (first + 1 + random(TOPICS - 1)) % TOPICS;
    followers[first]++;
    followers[second]++;
    return `/events?topics=t${first},t${second}`;
  });
  const topics = followers.map((_, index) => `t${index}`);
  /** @param {number} published in turn, from the first topic on */
  const deliveries = (published) =>
    followers.reduce(
      (sum, count, index) => sum + count * Math.floor((published + TOPICS - 1 - index) / TOPICS),
      0,
    );
  return { paths, topics, deliveries };
}

/** @param {number} connections */
const ownTopics = (connections) =>
  Array.from({ length: connections }, (_, index) => `/events?topics=user:${index},common`);

/**
 * Resident memory of an idle session, as in the row "idle".
 *
 * @param {import("../run.js").Bench} bench
 * @param {number} count
 * @param {string[]} paths
 */
function idleBytes(bench, count, paths) {
  const settleMs = bench.quick ? 200 : 8000;
  return withServer(bench, startOurs, async (pair) => {
    const { server, clients } = pair;
    await openAll(pair, { group: "warm up", paths, count: Math.min(WARM_UP, count) });
    await clients.call("close", { group: "warm up" });
    const before = await server.call("memory", { settleMs });
    await openAll(pair, { paths, count });
    const after = await server.call("memory", { settleMs });
    return (after.rssBytes - before.rssBytes) / count;
  });
}

/**
 * Once, whatever the number of rounds: it takes long, and what else runs does not disturb it.
 *
 * @param {import("../run.js").Bench} bench
 * @param {number} connections
 */
async function measureMemory(bench, connections) {
  bench.progress("idle memory by topics");
  const [own, common] = await Promise.all([
    idleBytes(bench, connections, ownTopics(connections)),
    idleBytes(bench, connections, ["/events?topics=common"]),
  ]);
  return { own, common, ratio: own / common };
}

/** @param {import("../run.js").Bench} bench */
export async function benchTopics(bench) {
  const [few, many] = [sized(bench, 1000), sized(bench, 10_000)];
  const durationMs = bench.quick ? 150 : 1500;
  const common = { connections: many, topics: ["common"] };
  const subjects = [
    { label: PAIRS, fanout: { connections: few, ...pairsOf(few) } },
    { label: OWN, fanout: { ...common, paths: ownTopics(many) } },
    { label: COMMON, fanout: { ...common, paths: ["/events?topics=common"] } },
  ];
  const rounds = await interleaved(bench, "topics", subjects, ({ label, fanout }) =>
    measureFanout(bench, { label, start: startOurs }, { ...fanout, bytes: BYTES, durationMs }),
  );
  const results = subjects.map(({ label, fanout: { connections } }) => ({
    ...summary(label, rounds.get(label) ?? []),
    connections,
  }));
  const memory = await measureMemory(bench, many);
  const table = {
    title: `Sessions on topics of their own, ${BYTES}-byte events back to back`,
    header: [
      "",
      "sessions",
      "delivered/s",
      "a CPU second",
      "p50",
      "p99",
      "lost",
      "server CPU",
      "idle memory",
    ],
    rows: results.map((r) => [
      r.label,
      whole(r.connections),
      whole(r.perSecond),
      whole(r.perCpuSecond),
      ms(r.p50Us),
      ms(r.p99Us),
      whole(r.lost),
      percent(r.serverCpu),
      r.label === PAIRS ? "" : `${number((r.label === OWN ? memory.own : memory.common) / 1000)} kB`,
    ]),
    notes: disturbances(results),
  };
  const perSecond = (/** @type {string} */ of) => results.find(({ label }) => label === of)?.perSecond;
  const aims = [
    atLeast(`${PAIRS}, delivered/s`, perSecond(PAIRS), 500_000, whole),
    atLeast(`${OWN}, delivered/s`, perSecond(OWN), 300_000, whole),
    atMost("idle memory beside sessions of one topic", memory.ratio, 1.2, times),
  ];
  return { results: { fanout: results, memory }, aims, tables: [table, aimsTable(aims)] };
}
