import { aimsTable, atMost } from "../lib/aims.js";
import { interleaved, openAll, sized, withServer } from "../lib/measure.js";
import { median, pairedRatio } from "../lib/stats.js";
import { ms, percent, times, whole } from "../lib/table.js";
import { OURS, startOurs, startServer } from "../peers.js";

/**
 * Events far apart, where nothing can be joined and each connection costs a system call: how long from the first
 * connection that has an event to the last, beside a loop of one `socket.write` each over bare sockets.
 */

const BYTES = 150;
const EVERY_MS = 250;
const WARM_UP_MS = 500;
const DRAIN_MS = 20_000;
const BARE = "one socket.write each, bare";

const SUBJECTS = [
  { label: BARE, start: () => startServer("sockets.js", BARE) },
  { label: OURS, start: startOurs },
];

/**
 * @param {import("../run.js").Bench} bench
 * @param {() => import("../lib/lines.js").LineProcess} start
 * @param {number} connections
 */
function measure(bench, start, connections) {
  const everyMs = bench.quick ? EVERY_MS / 10 : EVERY_MS;
  return withServer(bench, start, async (pair) => {
    const { server, clients } = pair;
    await openAll(pair, { count: connections, every: 1, spread: 1 });
    /** @param {Record<string, number>} publishing */
    const publish = async (publishing) => {
      await clients.call("mark");
      const sent = await server.call("publish", { bytes: BYTES, ...publishing });
      const events = sent.published * connections;
      const got = await clients.call("drain", { events, withinMs: DRAIN_MS });
      return { ...got, sent, lost: events - got.delivered };
    };
    await publish({ ms: bench.quick ? 50 : WARM_UP_MS });
    await publish({ events: 2, everyMs });
    const got = await publish({ events: bench.quick ? 4 : 12, everyMs });
    return {
      spreadUs: got.spreadP50Us,
      spreadMaxUs: got.spreadMaxUs,
      untilLastUs: got.untilLastP50Us,
      lost: got.lost,
      serverCpu: got.sent.cpuUs / 1000 / got.sent.ms,
    };
  });
}

/** @param {import("../run.js").Bench} bench */
export async function benchPace(bench) {
  const connections = sized(bench, 10_000);
  const rounds = await interleaved(bench, "pace", SUBJECTS, ({ start }) =>
    measure(bench, start, connections),
  );
  /** @param {string} label @param {"spreadUs" | "spreadMaxUs" | "untilLastUs" | "serverCpu"} key */
  const of = (label, key) => (rounds.get(label) ?? []).map((round) => round[key]);
  const ratio = pairedRatio(of(OURS, "spreadUs"), of(BARE, "spreadUs"));
  const results = SUBJECTS.map(({ label }) => ({
    label,
    connections,
    spreadUs: median(of(label, "spreadUs")),
    spreadMaxUs: median(of(label, "spreadMaxUs")),
    untilLastUs: median(of(label, "untilLastUs")),
    serverCpu: median(of(label, "serverCpu")),
    lost: (rounds.get(label) ?? []).reduce((sum, { lost }) => sum + lost, 0),
    timesBare: label === OURS ? ratio : 1,
    rounds: rounds.get(label),
  }));
  const table = {
    title: `One ${BYTES}-byte event every ${EVERY_MS} ms to ${whole(connections)} connections`,
    header: [
      "",
      "first to last, p50",
      "× bare",
      "slowest event",
      "publish to last, p50",
      "lost",
      "server CPU",
    ],
    rows: results.map((r) => [
      r.label,
      ms(r.spreadUs),
      times(r.timesBare),
      ms(r.spreadMaxUs),
      ms(r.untilLastUs),
      whole(r.lost),
      percent(r.serverCpu),
    ]),
  };
  const aims = [atMost("first to last beside one socket.write each", ratio, 1.1, times)];
  return { results, aims, tables: [table, aimsTable(aims)] };
}
