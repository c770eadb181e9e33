// What docs/progress.md says of its example, seen in it.
import type { Hub } from "everstream";
import { joinRun, type RunProgress, startRun } from "everstream/client";
import { expect, it, onTestFinished } from "vitest";
import { runExample } from "../setup/doc-example.ts";

it("tells how far the work is, to whoever joins and when, and what came of it", async () => {
  const { values, urls } = await runExample("docs/progress.md", { wanted: ["hub"] });
  onTestFinished(() => (values.hub as Hub).close());
  const url = `${urls[0]}/runs`;
  const run = startRun(url, { id: "import-1", input: { rows: 3000 } });
  const told: RunProgress[] = [];
  run.onEvent(({ type, data }) => {
    if (type === "progress") told.push(JSON.parse(data) as RunProgress);
  });
  await expect.poll(() => run.snapshot.progress?.step).toBe("Importing");
  const joined = joinRun(url, "import-1");
  expect(await run.finished).toMatchObject({ state: "done", result: { rows: 3000 } });
  expect(await joined.finished).toMatchObject({ state: "done", result: { rows: 3000 } });

  expect(new Set(told.map(({ step }) => step))).toEqual(new Set(["Checking", "Importing"]));
  const percents = told.map(({ progress }) => progress);
  expect(percents).toEqual([...percents].sort((a, b) => a - b));
  expect(told.find(({ step }) => step === "Importing")?.progress).toBe(25);
  expect(told.some(({ done = 0, total, unit }) => done > 0 && total === 3000 && unit === "rows")).toBe(true);
});
