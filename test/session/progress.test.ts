import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { EverstreamError } from "../../src/errors.ts";
import { createProgress, type ProgressTarget } from "../../src/session/progress.ts";

interface Sent {
  type: string;
  data: unknown;
  at: number;
}

/** A stream that keeps what is sent to it; `end` makes it refuse more, as an ended stream does. */
function recorder(): ProgressTarget & { sent: Sent[]; end(): void; data(): unknown[] } {
  const sent: Sent[] = [];
  let ended = false;
  return {
    sent,
    data: () => sent.map(({ data }) => data),
    end: () => {
      ended = true;
    },
    send: async (type, data) => {
      if (ended) throw new EverstreamError("STREAM_ENDED", "ended");
      sent.push({ type, data, at: performance.now() });
    },
  };
}

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

describe("what the client sees", () => {
  test("the seed's events: each step with its percentage, then done", async () => {
    const stream = recorder();
    const progress = createProgress(stream, {
      steps: ["Validating", "Processing", "Optimizing", "Complete"],
    });
    await progress.step("Validating");
    await progress.step("Processing");
    await progress.step("Optimizing");
    await progress.done({ fileId: "f", status: "complete" });
    expect(stream.sent.map(({ type }) => type)).toEqual([
      "progress",
      "progress",
      "progress",
      "progress",
      "done",
    ]);
    expect(stream.data()).toEqual([
      { step: "Validating", progress: 0 },
      { step: "Processing", progress: 25 },
      { step: "Optimizing", progress: 50 },
      { step: "Complete", progress: 100 },
      { fileId: "f", status: "complete" },
    ]);
  });

  test("weights give each step its share, and a last step that weighs nothing stands at 100", async () => {
    const stream = recorder();
    const progress = createProgress(stream, {
      steps: [
        { name: "read", weight: 0.1 },
        { name: "write", weight: 0.7 },
        { name: "sync", weight: 0.2 },
        { name: "end", weight: 0 },
      ],
    });
    for (const step of ["read", "write", "sync", "end"] as const) await progress.step(step);
    await progress.done();
    expect(stream.data()).toEqual([
      { step: "read", progress: 0 },
      { step: "write", progress: 10 },
      { step: "sync", progress: 80 },
      { step: "end", progress: 100 },
      {},
    ]);
  });

  test("counts go along with the percentage", async () => {
    const stream = recorder();
    const progress = createProgress(stream, { steps: ["a", "b"] });
    progress.report({ done: 3, total: 4, unit: "bytes" });
    expect(stream.data()).toEqual([{ step: "a", progress: 37.5, done: 3, total: 4, unit: "bytes" }]);
  });

  test("nothing to do is all done", () => {
    const stream = recorder();
    createProgress(stream, { steps: ["a"] }).report({ done: 0, total: 0 });
    expect(stream.data()).toEqual([{ step: "a", progress: 100, done: 0, total: 0 }]);
  });

  test("100 is kept for the end", () => {
    const stream = recorder();
    createProgress(stream, { steps: ["a"] }).report(0.99999);
    expect(stream.data()).toEqual([{ step: "a", progress: 99.9 }]);
  });

  test("a failure sends the last state, then the error, and nothing of it that was not chosen", async () => {
    const stream = recorder();
    const progress = createProgress(stream, { steps: ["a"] });
    await progress.step("a");
    progress.report(0.5);
    const error = Object.assign(new EverstreamError("LOG_FAILED", "no space"), { path: "/secret" });
    await progress.fail(error);
    expect(stream.sent.slice(1).map(({ type, data }) => [type, data])).toEqual([
      ["progress", { step: "a", progress: 50 }],
      ["error", { code: "LOG_FAILED", message: "no space" }],
    ]);
  });

  test("there is one end, the first", async () => {
    const stream = recorder();
    const progress = createProgress(stream, { steps: ["a"] });
    await progress.done();
    await progress.fail({ code: "X", message: "x" });
    await progress.done();
    await progress.step("a");
    progress.report(0.1);
    await vi.advanceTimersByTimeAsync(1000);
    expect(stream.sent.map(({ type }) => type)).toEqual(["progress", "done"]);
  });
});

describe("pace", () => {
  test("at most one report an interval, and the last one always arrives", async () => {
    const stream = recorder();
    const progress = createProgress(stream, { steps: ["a"], minInterval: 100 });
    await progress.step("a");
    for (let ms = 0; ms < 1000; ms++) {
      progress.report(ms / 2000);
      await vi.advanceTimersByTimeAsync(1);
    }
    await vi.advanceTimersByTimeAsync(1000);
    const times = stream.sent.map(({ at }) => at);
    for (const [index, at] of times.entries()) {
      if (index > 0) expect(at - (times[index - 1] as number)).toBeGreaterThanOrEqual(100);
    }
    expect(stream.sent.length).toBeGreaterThan(8);
    expect(stream.data().at(-1)).toEqual({ step: "a", progress: 50 });
  });

  test("a step is shown at once, whatever was sent just before", async () => {
    const stream = recorder();
    const progress = createProgress(stream, { steps: ["a", "b"] });
    await progress.step("a");
    progress.report(0.5);
    await progress.step("b");
    expect(stream.data()).toEqual([
      { step: "a", progress: 0 },
      { step: "b", progress: 50 },
    ]);
    await vi.advanceTimersByTimeAsync(1000);
    expect(stream.sent).toHaveLength(2);
  });

  test("reports wait for a slow client and are not queued for it", async () => {
    const sent: unknown[] = [];
    let take: () => void = () => undefined;
    const slow: ProgressTarget = {
      send: (_, data) => {
        sent.push(data);
        return new Promise((resolve) => {
          take = resolve;
        });
      },
    };
    const progress = createProgress(slow, { steps: ["a"], minInterval: 10 });
    for (let n = 1; n <= 50; n++) {
      progress.report(n / 100);
      await vi.advanceTimersByTimeAsync(10);
    }
    expect(sent).toEqual([{ step: "a", progress: 1 }]);
    take();
    await vi.advanceTimersByTimeAsync(10);
    expect(sent).toEqual([
      { step: "a", progress: 1 },
      { step: "a", progress: 50 },
    ]);
  });

  test("unchanged progress is not sent again", async () => {
    const stream = recorder();
    const progress = createProgress(stream, { steps: ["a"] });
    progress.report(0.5);
    await vi.advanceTimersByTimeAsync(1000);
    progress.report(0.50001);
    await vi.advanceTimersByTimeAsync(1000);
    expect(stream.sent).toHaveLength(1);
  });
});

describe("it never goes backwards", () => {
  test("within a step a smaller figure is not shown", async () => {
    const stream = recorder();
    const progress = createProgress(stream, { steps: ["a"] });
    progress.report(0.5);
    await vi.advanceTimersByTimeAsync(200);
    progress.report(0.2);
    await vi.advanceTimersByTimeAsync(200);
    progress.report({ done: 1, total: 4 });
    await vi.advanceTimersByTimeAsync(200);
    expect(stream.data()).toEqual([{ step: "a", progress: 50 }]);
  });

  test("work that is done again is named, and the bar holds until it gets further", async () => {
    const stream = recorder();
    const progress = createProgress(stream, { steps: ["a", "b"], minInterval: 0 });
    await progress.step("b");
    progress.report(0.5);
    await vi.advanceTimersByTimeAsync(1);
    await progress.step("a");
    progress.report(0.9);
    await progress.step("b");
    progress.report(0.75);
    await vi.advanceTimersByTimeAsync(1);
    expect(stream.data()).toEqual([
      { step: "b", progress: 50 },
      { step: "b", progress: 75 },
      { step: "a", progress: 75 },
      { step: "b", progress: 75 },
      { step: "b", progress: 87.5 },
    ]);
  });
});

describe("when the stream has ended", () => {
  test("steps reject, so that work which awaits them stops; reports are quiet and leave no timer", async () => {
    const stream = recorder();
    const progress = createProgress(stream, { steps: ["a", "b"] });
    await progress.step("a");
    stream.end();
    progress.report(0.5);
    await vi.advanceTimersByTimeAsync(1000);
    progress.report(0.6);
    expect(vi.getTimerCount()).toBe(0);
    await expect(progress.step("b")).rejects.toMatchObject({ code: "STREAM_ENDED" });
    await expect(progress.done()).rejects.toMatchObject({ code: "STREAM_ENDED" });
  });
});

describe("wrong use", () => {
  const target = recorder();
  test.each([
    ["no steps", () => createProgress(target, { steps: [] })],
    ["a step named twice", () => createProgress(target, { steps: ["a", "a"] })],
    ["a negative weight", () => createProgress(target, { steps: [{ name: "a", weight: -1 }] })],
    [
      "an interval that is no number",
      () => createProgress(target, { steps: ["a"], minInterval: Number.NaN }),
    ],
    ["a fraction that is no number", () => createProgress(target, { steps: ["a"] }).report(0 / 0)],
    [
      "a total that is infinite",
      () => createProgress(target, { steps: ["a"] }).report({ done: 1, total: 1 / 0 }),
    ],
  ])("%s is refused", (_, use) => {
    expect(use).toThrow(expect.objectContaining({ code: "INVALID_OPTION" }));
  });

  test("an unknown step is refused, and the message names the known ones", async () => {
    const progress = createProgress<string>(target, { steps: ["a", "b"] });
    await expect(progress.step("c")).rejects.toThrow(/a, b/);
  });
});

test("a report that is refused does not silence those after it", async () => {
  const send = vi.fn(async () => undefined).mockRejectedValueOnce(new Error("refused"));
  const progress = createProgress({ send }, { steps: ["Work"] });
  progress.report(0.1);
  await vi.advanceTimersByTimeAsync(1000);
  progress.report(0.5);
  await vi.advanceTimersByTimeAsync(1000);
  expect(send.mock.calls).toEqual([
    ["progress", { step: "Work", progress: 10 }],
    ["progress", { step: "Work", progress: 50 }],
  ]);
});
