import { createRuns, type Run, type RunsOptions } from "everstream";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { aborted, Cluster, ended, endingsOf, gate, join, statusOf, type TestNode, textOf } from "./nodes.ts";

const code = (expected: string) => expect.objectContaining({ name: "EverstreamError", code: expected });

let cluster: Cluster;
let node: TestNode;
beforeEach(() => {
  cluster = new Cluster();
  node = cluster.node();
});
afterEach(() => cluster.close());

describe("a run", () => {
  it("writes text and events, ends as done, and clients that return after it get 204", async () => {
    const begun = gate();
    const started = await node.runs.start({
      id: "a",
      produce: async (run) => {
        await begun.promise;
        await run.text("Hello, ");
        await run.send("tool", { name: "search" });
        await run.text("world");
        run.meta({ usage: { tokens: 3 } });
        return { title: "Greeting" };
      },
    });
    expect(started).toEqual({ id: "a", state: "running", joined: false });
    const client = await join(node, "a");
    begun.open();
    await ended(client);
    expect(client.events.map(({ event, data }) => [event, JSON.parse(data)])).toEqual([
      ["run", { id: "a", state: "running" }],
      ["token", { content: "Hello, " }],
      ["tool", { name: "search" }],
      ["token", { content: "world" }],
      ["done", { usage: { tokens: 3 }, title: "Greeting" }],
      ["sse:end", {}],
    ]);
    expect(client.session.closeReason).toBe("finished");
    expect(await statusOf(node, "a", client.lastEventId)).toBe(204);
    expect(await node.runs.get("a")).toMatchObject({
      id: "a",
      state: "done",
      result: { usage: { tokens: 3 }, title: "Greeting" },
      startedAt: expect.any(Number),
      endedAt: expect.any(Number),
    });
  });

  it("is joined by whoever starts the same id, while it runs and after it", async () => {
    const produce = vi.fn(async (run: Run) => {
      await run.text("once");
    });
    const starts = await Promise.all(Array.from({ length: 5 }, () => node.runs.start({ id: "a", produce })));
    expect(starts.filter(({ joined }) => !joined)).toHaveLength(1);
    expect(await node.runs.ended("a")).toMatchObject({ state: "done" });
    expect(await node.runs.start({ id: "a", produce })).toEqual({ id: "a", state: "done", joined: true });
    expect(produce).toHaveBeenCalledTimes(1);
  });

  it("two starts at once on two nodes: one starts, one joins", async () => {
    const other = cluster.node();
    for (let round = 0; round < 20; round++) {
      const produce = vi.fn(async (run: Run) => run.text("x"));
      const starts = await Promise.all([
        node.runs.start({ id: `r${round}`, produce }),
        other.runs.start({ id: `r${round}`, produce }),
      ]);
      expect(starts.map(({ joined }) => joined).sort()).toEqual([false, true]);
      await node.runs.ended(`r${round}`);
      expect(produce).toHaveBeenCalledTimes(1);
    }
  });

  it("has its key to itself; a second run is refused, or replaces it where asked", async () => {
    const signals: AbortSignal[] = [];
    const produce = async (run: Run) => {
      signals.push(run.signal);
      await aborted(run.signal);
    };
    await node.runs.start({ id: "a", key: "k", produce });
    await expect(node.runs.start({ id: "b", key: "k", produce })).rejects.toThrow(code("RUN_BUSY"));
    expect(await node.runs.find("b")).toEqual({ kind: "unknown" });
    const other = cluster.node();
    await other.runs.start({ id: "c", key: "k", onBusy: "replace", produce });
    expect(await node.runs.ended("a")).toMatchObject({ state: "stopped" });
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
    await node.runs.stop("a");
    expect(await node.runs.get("c")).toMatchObject({ state: "running" });
    await node.runs.stop("c");
    expect(await node.runs.ended("c")).toMatchObject({ state: "stopped" });
  });

  it("lets the next run of the key begin as soon as a client has seen the end", async () => {
    for (let round = 0; round < 30; round++) {
      const begun = gate();
      await node.runs.start({ id: `r${round}`, key: "k", produce: () => begun.promise });
      const client = await join(node, `r${round}`);
      begun.open();
      await client.until((seen) => endingsOf(seen).length > 0);
    }
  });

  it("that fails tells clients nothing but that it did, and the developer all", async () => {
    const onError = vi.fn(() => undefined);
    node = cluster.node({ onError });
    const failure = new Error("connect ECONNREFUSED 10.0.0.7:5432");
    await node.runs.start({ id: "a", produce: () => Promise.reject(failure) });
    expect(await node.runs.ended("a")).toMatchObject({
      state: "error",
      error: { code: "INTERNAL_ERROR", message: "Internal error" },
    });
    expect(onError).toHaveBeenCalledWith(failure, expect.objectContaining({ id: "a" }));
  });

  it("that fails tells clients what the developer chose", async () => {
    node = cluster.node({ onError: () => ({ code: "RATE_LIMIT", message: "Try again in a minute." }) });
    await node.runs.start({
      id: "a",
      produce: () => {
        throw new Error("429");
      },
    });
    const client = await join(node, "a");
    await ended(client);
    expect(endingsOf(client)).toEqual([
      { type: "error", data: { code: "RATE_LIMIT", message: "Try again in a minute." } },
    ]);
  });

  it("that takes too long ends with the code timeout", async () => {
    node = cluster.node({ maxDuration: 50 });
    const seen = gate();
    await node.runs.start({
      id: "a",
      produce: async (run) => {
        await run.text("so far");
        await aborted(run.signal);
        seen.open();
      },
    });
    expect(await node.runs.ended("a")).toMatchObject({ state: "error", error: { code: "timeout" } });
    await seen.promise;
  });

  it("that writes too much ends with the code too_large, and the producer hears of it", async () => {
    node = cluster.node({ maxOutput: 100 });
    const rejected = vi.fn();
    await node.runs.start({
      id: "a",
      produce: async (run) => {
        for (;;) await run.text("0123456789").catch((error: unknown) => Promise.reject(rejected(error)));
      },
    });
    expect(await node.runs.ended("a")).toMatchObject({ state: "error", error: { code: "too_large" } });
    expect(rejected).toHaveBeenCalledWith(code("STREAM_ENDED"));
    const client = await join(node, "a");
    await ended(client);
    expect(textOf(client)).toBe("0123456789".repeat(10));
  });

  it("refuses events that would look like its own end, and what has no JSON form, and goes on", async () => {
    const codes: unknown[] = [];
    await node.runs.start({
      id: "a",
      produce: async (run) => {
        const refused = (error: { code: string }) => codes.push(error.code);
        await run.send("done").catch(refused);
        await run.send("error", {}).catch(refused);
        await run.send("run", {}).catch(refused);
        await run.send("sse:gap", {}).catch(refused);
        await run.send("x", () => 1).catch(refused);
        await Promise.all([
          run.text("a"),
          run.send("big", "x".repeat(2 ** 20)).catch(refused),
          run.text("b"),
          run.send("small", 1),
        ]);
      },
    });
    expect(await node.runs.ended("a")).toMatchObject({ state: "done" });
    expect(codes).toEqual([
      "RESERVED_TYPE",
      "RESERVED_TYPE",
      "RESERVED_TYPE",
      "RESERVED_TYPE",
      "NOT_SERIALIZABLE",
      "EVENT_TOO_LARGE",
    ]);
    const client = await join(node, "a");
    await ended(client);
    expect(client.events.map(({ event }) => event)).toEqual(["run", "token", "small", "done", "sse:end"]);
    expect(textOf(client)).toBe("ab");
  });

  it("whose result can't be sent ends with an error", async () => {
    await node.runs.start({ id: "a", produce: () => ({ big: 1n }) });
    expect(await node.runs.ended("a")).toMatchObject({ state: "error", error: { code: "INTERNAL_ERROR" } });
  });

  it("whose producer does not await its writes brings nobody down when it is stopped", async () => {
    const rejections = vi.fn();
    process.on("unhandledRejection", rejections);
    const finished = gate();
    await node.runs.start({
      id: "a",
      produce: async (run) => {
        await aborted(run.signal);
        for (let index = 0; index < 10; index++) {
          void run.text("late");
          void run.send("late");
          void run.step("late");
          run.progress(0.5);
        }
        finished.open();
      },
    });
    await node.runs.stop("a");
    await finished.promise;
    await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", rejections);
    expect(rejections).not.toHaveBeenCalled();
    const client = await join(node, "a");
    await ended(client);
    expect(client.events.map(({ event }) => event)).toEqual(["run", "error", "sse:end"]);
  });

  it.each([{}, { hub: "hub" }])("are not made with %o", (wrong) => {
    expect(() => createRuns(wrong as unknown as RunsOptions)).toThrow(code("INVALID_OPTION"));
  });

  it.each([
    [{ id: "" }],
    [{ id: "a b" }],
    [{ id: "x".repeat(129) }],
    [{ key: "" }],
    [{ onBusy: "wait" as "refuse" }],
    [{ produce: undefined as never }],
    [{ whenUnwatched: { stopAfterMs: -1 } }],
    [{ input: "x".repeat(70_000) }],
    [{ steps: [{ name: "a", weight: -1 }] }],
  ])("is not started with %o", async (wrong) => {
    await expect(node.runs.start({ produce: () => undefined, ...wrong })).rejects.toThrow(
      code("INVALID_OPTION"),
    );
    expect(await node.runs.running()).toEqual([]);
  });
});
