import { aimsTable, atLeast, atMost } from "../lib/aims.js";
import { disturbances, measureFanout, summary } from "../lib/fanout.js";
import { interleaved, sized } from "../lib/measure.js";
import { ms, percent, whole } from "../lib/table.js";
import { OURS, startOurs } from "../peers.js";

/** The fan-out again, to as many as a server of one process is asked to hold. */

const BYTES = 150;

/** @param {import("../run.js").Bench} bench */
export async function benchCrowd(bench) {
  const connections = sized(bench, 10_000);
  const durationMs = bench.quick ? 150 : 2000;
  /** @type {import("../lib/fanout.js").Contender[]} */
  const contenders = [{ label: OURS, start: startOurs }];
  const { ceiling } = bench.generator;
  if (ceiling)
    contenders.unshift({ label: "ceiling: C, 64 events a send()", start: () => ceiling("joined") });
  const rounds = await interleaved(bench, "crowd", contenders, (contender) =>
    measureFanout(bench, contender, { connections, bytes: BYTES, durationMs }),
  );
  const results = [...rounds].map(([label, all]) => ({ ...summary(label, all), connections }));
  const ours = results.find(({ label }) => label === OURS);
  const table = {
    title: `Fan-out to ${whole(connections)} connections, ${BYTES}-byte events back to back`,
    header: ["", "delivered/s", "a CPU second", "p50", "p99", "max", "lost", "server CPU", "generator CPU"],
    rows: results.map((r) => [
      r.label,
      whole(r.perSecond),
      whole(r.perCpuSecond),
      ms(r.p50Us),
      ms(r.p99Us),
      ms(r.maxUs),
      whole(r.lost),
      percent(r.serverCpu),
      percent(r.generatorCpu),
    ]),
    notes: disturbances(results),
  };
  const aims = [
    atLeast("delivered/s", ours?.perSecond, 1_500_000, whole),
    atMost("p99", ours?.p99Us, 200_000, ms),
  ];
  return { results, aims, tables: [table, aimsTable(aims)] };
}
