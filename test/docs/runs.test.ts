// What docs/runs.md says of its example, seen in it.
import type { Runs } from "everstream";
import { joinRun, startRun, stopRun } from "everstream/client";
import { serveForTest } from "everstream/testing";
import type { Hono } from "hono";
import { expect, it, onTestFinished } from "vitest";
import { runExample } from "../setup/doc-example.ts";

it("opens with answers that outlive whoever asked, are one at a time, and are their user's", async () => {
  const signals: AbortSignal[] = [];
  let finish = (): void => undefined;
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const model = {
    stream: async (question: string, { signal }: { signal: AbortSignal }) => {
      signals.push(signal);
      return (async function* () {
        yield `${question} `;
        await finished;
        yield "Well.";
      })();
    },
  };
  const userOf = ({ headers }: Request) => headers.get("user") ?? "nobody";
  const { values } = await runExample("docs/runs.md", {
    declared: { model, userOf },
    wanted: ["app", "runs"],
  });
  const runs = values.runs as Runs;
  const server = await serveForTest(values.app as Hono);
  onTestFinished(async () => {
    await runs.close();
    await server.close();
  });
  const url = `${server.url}/runs`;
  const ann = { headers: { user: "ann" } };
  const run = startRun(url, { ...ann, input: { question: "How?", conversation: "c1" } });
  await expect.poll(() => run.snapshot.text).toBe("How? ");
  run.close();

  const other = startRun(url, { ...ann, input: { question: "Why?", conversation: "c1" } });
  expect(await other.finished).toMatchObject({ state: "lost", error: { code: "RUN_BUSY" } });
  const bens = joinRun(url, run.id, { headers: { user: "ben" } });
  expect(await bens.finished).toMatchObject({ state: "lost", error: { code: "FORBIDDEN" } });

  const again = joinRun(url, run.id, ann);
  await expect.poll(() => again.snapshot.text).toBe("How? ");
  finish();
  expect(await again.finished).toMatchObject({ state: "done", text: "How? Well." });
  const third = startRun(url, { ...ann, input: { question: "When?", conversation: "c1" } });
  expect(await third.finished).toMatchObject({ state: "done", text: "When? Well." });
  await stopRun(url, third.id, ann);
  expect(signals.map(({ aborted }) => aborted)).toEqual([false, false]);
});
