/**
 * Many runs that write tokens at the pace of models: what joining tokens costs and saves, in one process' CPU. Needs the
 * built package. `node bench/runs.js [--runs 1000] [--rate 50] [--seconds 10] [--readers 1] [--log memory|lmdb]`
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createHub, createRuns, memoryLog } from "../dist/index.js";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "1000" },
    rate: { type: "string", default: "50" },
    seconds: { type: "string", default: "10" },
    readers: { type: "string", default: "1" },
    log: { type: "string", default: "memory" },
  },
});
const [runCount, rate, seconds, readers] = ["runs", "rate", "seconds", "readers"].map((name) =>
  Number(values[name]),
);

const folder = values.log === "lmdb" ? mkdtempSync(join(tmpdir(), "everstream-runs-")) : undefined;
const log =
  folder === undefined ? memoryLog() : (await import("../dist/logs/lmdb.js")).lmdbLog({ path: folder });
const hub = createHub({ log });
const runs = createRuns({ hub });

/** Each producer has a token at every tick. */
const tickMs = 1000 / rate;
const producers = [];
let refused = 0;
const finishers = [];
for (let index = 0; index < runCount; index++) {
  await runs.start({
    id: `r${index}`,
    produce: (run) =>
      new Promise((resolve) => {
        producers.push(run);
        finishers.push(resolve);
      }),
  });
}

let delivered = 0;
let characters = 0;
for (let index = 0; index < runCount; index++) {
  for (let reader = 0; reader < readers; reader++) {
    hub.subscribe(`run:r${index}`, ({ type, data }) => {
      if (type !== "token") return;
      delivered++;
      characters += data.content.length;
    });
  }
}

const publishedBefore = hub.stats().published;
const cpu = process.cpuUsage();
const begun = performance.now();
let tokens = 0;
let late = 0;
const TOKEN = " token";
// Producers are spread over the tick, as independent ones are.
const SLICES = 20;
for (let slice = 0; performance.now() - begun < seconds * 1000; slice++) {
  const dueAt = begun + (slice * tickMs) / SLICES;
  const wait = dueAt - performance.now();
  if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
  else await new Promise((resolve) => setImmediate(resolve));
  late = Math.max(late, performance.now() - dueAt);
  for (let index = slice % SLICES; index < producers.length; index += SLICES) {
    producers[index].text(TOKEN).catch(() => refused++);
    tokens++;
  }
}
const elapsed = performance.now() - begun;
const used = process.cpuUsage(cpu);
for (const finish of finishers) finish();
await Promise.all(producers.map((run) => runs.ended(run.id)));
await new Promise((resolve) => setTimeout(resolve, 500));

const share = (used.user + used.system) / 1000 / elapsed;
console.log(
  [
    `${runCount} runs × ${rate} tokens/s, ${readers} reader(s) each, ${values.log} log, ${(elapsed / 1000).toFixed(1)} s`,
    `tokens ${tokens} (${Math.round((tokens / elapsed) * 1000)}/s), refused ${refused}`,
    `events ${hub.stats().published - publishedBefore} in the log, ${delivered} delivered`,
    `characters ${characters} of ${tokens * TOKEN.length * readers}`,
    `CPU ${(share * 100).toFixed(0)} % of one core; latest tick ${late.toFixed(0)} ms late`,
  ].join("\n"),
);
await runs.close();
await hub.close();
if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
