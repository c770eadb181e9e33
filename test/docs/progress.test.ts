// What docs/progress.md says of its example, seen in it.
import { randomBytes, randomUUID } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Hub } from "everstream";
import { type FollowedRun, joinRun, type RunProgress, startRun } from "everstream/client";
import { connectRaw } from "everstream/testing";
import { expect, it, onTestFinished, vi } from "vitest";
import { runExample } from "../setup/doc-example.ts";

it("tells how far the work is, to whoever joins and when, and what came of it", async () => {
  const { values, urls } = await runExample("docs/progress.md", { wanted: ["hub"] });
  onTestFinished(() => (values.hub as Hub).close());
  const url = `${urls[0]}/runs`;
  const run = startRun(url, { id: "import-1", input: { rows: 3000 } });
  const told = progressOf(run);
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

/** The progress that a run tells from now on. */
function progressOf(run: FollowedRun): RunProgress[] {
  const told: RunProgress[] = [];
  run.onEvent(({ type, data }) => {
    if (type === "progress") told.push(JSON.parse(data) as RunProgress);
  });
  return told;
}

/** The server that receives files, and the place of one. */
async function receiver(): Promise<{ url: string; id: string; path: string }> {
  const { values, urls } = await runExample("docs/progress.md", { below: "A file", wanted: ["hub"] });
  const id = randomUUID();
  const path = join(tmpdir(), id);
  onTestFinished(async () => {
    await (values.hub as Hub).close();
    await rm(path, { force: true });
  });
  return { url: urls[0] ?? "", id, path };
}

it("tells how much of a file has come, and keeps it", async () => {
  const { url, id, path } = await receiver();
  const run = joinRun(`${url}/runs`, id);
  const told = progressOf(run);
  const file = randomBytes(8 * 1024 * 1024);
  const sent = await fetch(`${url}/uploads/${id}`, { method: "POST", body: file });
  expect(sent.status).toBe(201);
  expect(await run.finished).toMatchObject({ state: "done", result: { bytes: file.length } });
  expect((await readFile(path)).equals(file)).toBe(true);
  expect(told.map(({ step }) => step)).toEqual(expect.arrayContaining(["Receiving", "Checking"]));
  expect(told.find(({ step }) => step === "Checking")?.progress).toBe(75);
  expect(told.every(({ total = file.length }) => total === file.length)).toBe(true);
});

it("tells everybody that a file did not come whole", async () => {
  const { url, id } = await receiver();
  const console = vi.spyOn(globalThis.console, "error").mockReturnValue();
  onTestFinished(() => console.mockRestore());
  const sending = await connectRaw(url);
  sending.socket.write(`POST /uploads/${id} HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nonly this`);
  const run = joinRun(`${url}/runs`, id);
  await expect.poll(() => run.snapshot.progress?.done).toBe(9);
  sending.socket.destroy();
  expect(await run.finished).toMatchObject({ state: "error", error: { code: "INTERNAL_ERROR" } });
  expect(console).toHaveBeenCalled();
});
