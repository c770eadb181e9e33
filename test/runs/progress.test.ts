// What clients are told of a work's progress when another process goes on with it.
import type { Produce, RunProgressData } from "everstream";
import { afterEach, beforeEach, expect, it } from "vitest";
import { aborted, Cluster, ended, join, LEASE_MS } from "./nodes.ts";

let cluster: Cluster;
beforeEach(() => {
  cluster = new Cluster(undefined, LEASE_MS);
});
afterEach(() => cluster.close());

const STEPS = [
  { name: "Reading", weight: 1 },
  { name: "Storing", weight: 3 },
];

/** Begins at the first step, as whoever takes a work over may have to. */
const workThrough: Produce = async (run) => {
  for (const { name } of STEPS) {
    await run.step(name);
    for (const done of [1, 2]) run.progress({ done, total: 2 });
  }
};

/** Comes to 62.5 % with the first process, and is gone on with by the next; what a reader hears of it. */
async function takenOver(steps: typeof STEPS | undefined, goOn: Produce): Promise<RunProgressData[]> {
  const [first, other] = [cluster.node(), cluster.node({ onAbandoned: () => goOn })];
  await first.runs.start({
    id: "a",
    ...(steps && { steps }),
    produce: async (run) => {
      await run.step("Storing");
      run.progress(steps === undefined ? 0.625 : 0.5);
      await aborted(run.signal);
    },
  });
  const client = await join(other, "a");
  await client.until((seen) => seen.events.some(({ data }) => data.includes("62.5")));
  await first.crash();
  await ended(client);
  const events = client.events.filter(({ event }) => event === "progress");
  return events.map(({ data }) => JSON.parse(data) as RunProgressData);
}

it("has the steps that were named at the start, and never falls", async () => {
  const told = await takenOver(STEPS, workThrough);
  const figures = told.map(({ progress }) => progress);
  expect(figures).toEqual(figures.toSorted((a, b) => a - b));
  expect(told.filter(({ step }) => step === "Reading").map(({ progress }) => progress)).toEqual([62.5]);
  expect(told.at(-1)).toMatchObject({ step: "Storing", progress: 100 });
  // Nothing of the whole is left only once all of its steps are through.
  expect(figures.filter((progress) => progress === 100).length).toBeLessThan(3);
});

it("never falls where no steps were named, and guesses by what was done since", async () => {
  const told = await takenOver(undefined, async (run) => {
    run.progress(0.1);
    run.progress(0.7);
    await new Promise((resolve) => setTimeout(resolve, 150));
    run.progress(0.8);
  });
  const figures = told.map(({ progress }) => progress);
  expect(figures).toEqual(figures.toSorted((a, b) => a - b));
  expect(figures).not.toContain(10);
  const estimated = told.filter(({ progress, etaMs }) => progress === 80 && etaMs !== undefined);
  expect(estimated).not.toEqual([]);
  // 17.5 % took 150 ms at the least, so that 20 % will.
  for (const { etaMs } of estimated) expect(etaMs).toBeGreaterThan(140);
});

it("begins anew where what was told before is no progress", async () => {
  const other = cluster.node({ onAbandoned: () => async (run) => run.progress(0.4) });
  const first = cluster.node();
  await first.runs.start({
    id: "a",
    produce: async (run) => {
      await run.send("progress", "half");
      await run.send("progress", { progress: "much" });
      await aborted(run.signal);
    },
  });
  const client = await join(other, "a");
  await client.until((seen) => seen.events.some(({ data }) => data.includes("much")));
  await first.crash();
  await ended(client);
  const last = client.events.filter(({ event }) => event === "progress").at(-1);
  expect(JSON.parse(last?.data ?? "")).toMatchObject({ progress: 100 });
});
