// Input that can't be used: an error that says what to do, before anything was begun.
import {
  createHub,
  createRuns,
  type Hub,
  type RunRoutesOptions,
  type Runs,
  type RunsOptions,
  type StartOptions,
  type StepProgress,
} from "everstream";
import { runRoutes as honoRoutes } from "everstream/hono";
import { runRoutes as nodeRoutes } from "everstream/node";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";

let hub: Hub;
let runs: Runs;
beforeEach(() => {
  hub = createHub();
  runs = createRuns({ hub });
});
afterEach(async () => {
  await runs.close();
  await hub.close();
  vi.restoreAllMocks();
});

const INVALID = expect.objectContaining({ name: "EverstreamError", code: "INVALID_OPTION" });
const produce = (): void => undefined;
const authorize = (): boolean => true;

describe("createRuns", () => {
  it.each([
    ["nothing", undefined],
    ["no hub", {}],
    ["something else for a hub", { hub: {} }],
    ["null for a hub", { hub: null }],
  ])("refuses %s, and reads no log", (_, options) => {
    const told = vi.spyOn(console, "error").mockImplementation(() => undefined);
    expect(() => createRuns(options as unknown as RunsOptions)).toThrow(INVALID);
    expect(told).not.toHaveBeenCalled();
  });

  it.each([
    { namespace: 5 },
    { namespace: "" },
    { lease: 10 },
    { keepFor: "1h" },
    { maxDuration: Number.NaN },
    { onError: "console" },
    { onAbandoned: null },
  ])("refuses %o", (options) => {
    expect(() => createRuns({ hub, ...options } as unknown as RunsOptions)).toThrow(INVALID);
  });
});

describe("start", () => {
  it.each([
    undefined,
    null,
    {},
    { produce: "x" },
    { produce, id: 5 },
    { produce, key: "" },
    { produce, onBusy: "wait" },
    { produce, whenUnwatched: null },
    { produce, whenUnwatched: "stop" },
    { produce, whenUnwatched: {} },
    { produce, steps: "Reading" },
    { produce, steps: [null] },
    { produce, steps: [5] },
    { produce, steps: [{ name: 5 }] },
    { produce, steps: [{ name: "a", weight: -1 }] },
    { produce, steps: ["a", "a"] },
  ])("refuses %o, and starts nothing", async (options) => {
    await expect(runs.start(options as unknown as StartOptions)).rejects.toThrow(INVALID);
    expect(await runs.running()).toEqual([]);
  });

  it("gives a producer the same for progress that is none", async () => {
    const errors: unknown[] = [];
    await runs.start({
      id: "a",
      produce: (run) => {
        for (const progress of [null, undefined, "half", {}, { done: 1 }, Number.NaN, 1n]) {
          try {
            run.progress(progress as unknown as StepProgress);
          } catch (error) {
            errors.push(error);
          }
        }
      },
    });
    expect(await runs.ended("a")).toMatchObject({ state: "done" });
    expect(errors).toEqual(Array.from({ length: 7 }, () => INVALID));
  });
});

describe("close", () => {
  it.each([{ within: "soon" }, { within: -1 }, { within: Number.POSITIVE_INFINITY }])(
    "refuses %o, and the runs go on",
    async (options) => {
      await expect(runs.close(options as { within: number })).rejects.toThrow(INVALID);
      expect(await runs.start({ produce })).toMatchObject({ joined: false });
    },
  );
});

describe("routes", () => {
  it.each([
    undefined,
    {},
    { authorize: true },
    { authorize, path: 5 },
    { authorize, path: "api/runs" },
    { authorize, start: {} },
    { authorize, authorizeEarlyStop: false },
  ])("refuse %o when they are made", (options) => {
    const wrong = options as unknown as RunRoutesOptions;
    for (const make of [
      () => runs.routes(wrong),
      () => honoRoutes(runs, wrong),
      () => nodeRoutes(runs, wrong),
    ]) {
      expect(make).toThrow(INVALID);
    }
  });
});
