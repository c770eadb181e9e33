import { aimsTable, atMost } from "../lib/aims.js";
import { interleaved, openAll, sized, withServer } from "../lib/measure.js";
import { median } from "../lib/stats.js";
import { ms, percent, whole } from "../lib/table.js";
import { OURS, startOurs } from "../peers.js";

/**
 * How long other work of the same process waits while events go out: the time between two ticks of a timer of one
 * millisecond (`monitorEventLoopDelay`), while a publisher awaits each publish to many sessions, warmed up.
 */

const BYTES = 150;
const DRAIN_MS = 20_000;
const BAR = 40;

/** @typedef {{ ticks: number, p50Us: number, p99Us: number, p999Us: number, maxUs: number, shares: { ms: number, share: number }[] }} Delay */

/**
 * @param {import("../run.js").Bench} bench
 * @param {number} connections
 * @param {{ everyMs?: number, topics?: string[] }} publishing
 * @returns {Promise<Delay>}
 */
function measure(bench, connections, publishing) {
  return withServer(bench, startOurs, async (pair) => {
    const { server, clients } = pair;
    await openAll(pair, { count: connections });
    /** @param {number} durationMs */
    const publish = async (durationMs) => {
      await clients.call("mark");
      const sent = await server.call("publish", {
        ...publishing,
        bytes: BYTES,
        ms: durationMs,
        loopDelay: true,
      });
      const events = publishing.topics ? 0 : sent.published * connections;
      await clients.call("drain", { events, withinMs: DRAIN_MS });
      return sent.loop;
    };
    await publish(bench.quick ? 100 : 3000);
    return publish(bench.quick ? 300 : 5000);
  });
}

/** What the machine itself keeps the loop from: published to a topic that nobody follows. */
const NOBODY = "nobody is sent anything";

/** @type {{ label: string, publishing: { everyMs?: number, topics?: string[] } }[]} */
const SUBJECTS = [
  { label: "back to back, awaited", publishing: {} },
  { label: "one event every 20 ms", publishing: { everyMs: 20 } },
  { label: NOBODY, publishing: { everyMs: 20, topics: ["nobody"] } },
];

/** @param {import("../run.js").Bench} bench */
export async function benchDelay(bench) {
  const connections = sized(bench, 10_000);
  const rounds = await interleaved(bench, "event loop's delay", SUBJECTS, ({ publishing }) =>
    measure(bench, connections, publishing),
  );
  const results = SUBJECTS.map(({ label }) => {
    const all = rounds.get(label) ?? [];
    const of = (/** @type {"p50Us" | "p99Us" | "p999Us" | "maxUs" | "ticks"} */ key) =>
      median(all.map((round) => round[key]));
    const figures = { ticks: of("ticks"), p50Us: of("p50Us"), p99Us: of("p99Us"), p999Us: of("p999Us") };
    return { label, connections, ...figures, maxUs: of("maxUs"), rounds: all };
  });
  const table = {
    title: `The event loop's delay while ${whole(connections)} sessions are sent ${BYTES}-byte events`,
    header: ["", "p50", "p99", "p99.9", "max", "ticks"],
    rows: results.map((r) => [r.label, ms(r.p50Us), ms(r.p99Us), ms(r.p999Us), ms(r.maxUs), whole(r.ticks)]),
  };
  const aims = results
    .filter(({ label }) => label !== NOBODY)
    .map(({ label, p999Us }) => atMost(`${OURS}, ${label}: p99.9`, p999Us, 5000, ms));
  return { results, aims, tables: [table, histogram(results[0]?.rounds.at(-1)), aimsTable(aims)] };
}

/** @param {Delay | undefined} delay */
function histogram(delay) {
  let below = 0;
  let from = 0;
  const rows = [...(delay?.shares ?? []), { ms: Number.POSITIVE_INFINITY, share: 1 }].map(
    ({ ms: to, share }) => {
      const part = Math.max(0, share - below);
      const step = to === Number.POSITIVE_INFINITY ? `over ${from} ms` : `${from}–${to} ms`;
      below = Math.max(below, share);
      from = to;
      // Anything at all is to be seen.
      return [step, part > 0 && part < 0.01 ? `${(part * 100).toFixed(3)} %` : percent(part), barOf(part)];
    },
  );
  return { title: `${SUBJECTS[0]?.label}, last round`, header: ["time between ticks", "ticks", ""], rows };
}

/** Filled up with dots, since tables put it to the right. @param {number} part */
const barOf = (part) => "█".repeat(Math.ceil(part * BAR)).padEnd(BAR, "·");
