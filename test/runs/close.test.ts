// What is left of runs after `close`: the other servers' runs go on, and nothing that was under way hangs.
import { createHub, EverstreamError, type Hub } from "everstream";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { aborted, Cluster, gate, hubHeldAt, hubWith, publishing } from "./nodes.ts";

let cluster: Cluster;
beforeEach(() => {
  cluster = new Cluster();
});
afterEach(() => cluster.close());

const CLOSED = { code: "HUB_CLOSED" };

/** A hub to which nothing comes back from the log, and its first publishing. */
function deaf(): { readonly hub: Hub; readonly published: Promise<void> } {
  const real = createHub({ log: cluster.log });
  const { promise, open } = gate();
  const hub = hubWith(real, {
    subscribe: (topics, _, options) => real.subscribe(topics, () => undefined, options),
    publish: publishing(real, { after: open }),
  });
  return { hub, published: promise };
}

describe("runs that were closed while their hub goes on", () => {
  it("leave the runs of other servers alone, whatever they are asked", async () => {
    const [closed, other] = [cluster.node(), cluster.node()];
    await closed.runs.running();
    await closed.runs.close();
    await other.runs.start({ id: "a", key: "k", produce: (run) => aborted(run.signal) });
    const { runs } = closed;
    for (const asked of [
      runs.get("a"),
      runs.find("a"),
      runs.ended("a"),
      runs.running(),
      runs.holder("k"),
      runs.stop("a"),
      runs.start({ id: "a", produce: () => undefined }),
    ]) {
      await expect(asked).rejects.toMatchObject(CLOSED);
    }
    expect(await other.runs.get("a")).toMatchObject({ state: "running" });
  });

  it("answer requests by 503 and a time to come back after", async () => {
    const [closed, other] = [cluster.node(), cluster.node()];
    await closed.runs.close();
    await other.runs.start({ id: "a", produce: (run) => aborted(run.signal) });
    const routes = closed.runs.routes({
      start: () => ({ produce: () => undefined }),
      authorize: () => true,
    });
    for (const [method, path] of [
      ["GET", "/runs/a"],
      ["GET", "/runs/a/state"],
      ["DELETE", "/runs/a"],
      ["POST", "/runs/a"],
      ["POST", "/runs"],
    ] as const) {
      const { status, headers } = await routes(new Request(`http://x${path}`, { method }));
      expect([method, path, status, headers.get("retry-after")]).toEqual([method, path, 503, "2"]);
    }
    const response = await closed.runs.respond(new Request("http://x/"), "a");
    expect([response.status, response.headers.get("retry-after")]).toEqual([503, "2"]);
    expect(await response.json()).toEqual({ error: expect.any(String), code: "HUB_CLOSED" });
    expect(await other.runs.get("a")).toMatchObject({ state: "running" });
  });

  it("have an EventSource come back, which would give up for good at anything but 200", async () => {
    const closed = cluster.node();
    await closed.runs.close();
    const request = new Request("http://x/runs/a", { headers: { accept: "text/event-stream" } });
    for (const response of [
      await closed.runs.respond(request, "a"),
      await closed.runs.routes({ authorize: () => true })(request),
    ]) {
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toContain("text/event-stream");
      expect(await response.text()).toMatch(/^: closing\nretry: \d{1,4}\n\n$/);
    }
  });

  it("end nothing that was being looked at when they were closed", async () => {
    const [closed, other] = [cluster.node({ hub: deaf().hub }), cluster.node()];
    await closed.runs.running();
    await other.runs.start({ id: "a", produce: (run) => aborted(run.signal) });
    const asked = [closed.runs.get("a"), closed.runs.running()];
    for (const promise of asked) promise.catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await closed.runs.close();
    for (const promise of asked) await expect(promise).rejects.toMatchObject(CLOSED);
    expect(await other.runs.get("a")).toMatchObject({ state: "running" });
  });
});

describe("a start that is under way at close", () => {
  it("is refused where it was not granted yet, and its key is free", async () => {
    const [closed, other] = [cluster.node(), cluster.node()];
    await closed.runs.running();
    const produce = vi.fn();
    const started = closed.runs.start({ id: "a", key: "k", produce });
    started.catch(() => undefined);
    await closed.runs.close();
    const state = await started.then(
      (run) => run.state,
      (error: { code: string }) => error.code,
    );
    expect(["HUB_CLOSED", "abandoned"]).toContain(state);
    expect(produce).not.toHaveBeenCalled();
    expect(await other.runs.start({ id: "b", key: "k", produce })).toMatchObject({ joined: false });
    expect(await other.runs.running()).not.toContain("a");
  });

  it("is refused where its claim gets no answer", async () => {
    const { hub, published } = deaf();
    const [closed, other] = [cluster.node({ hub }), cluster.node()];
    await closed.runs.running();
    const started = closed.runs.start({ id: "a", key: "k", produce: () => undefined });
    started.catch(() => undefined);
    await published;
    await closed.runs.close();
    await expect(started).rejects.toMatchObject(CLOSED);
    expect(await other.runs.start({ key: "k", produce: () => undefined })).toMatchObject({ joined: false });
  });

  it.each([
    ["ends as abandoned", false, "abandoned"],
    ["is left to the others", true, "running"],
  ] as const)("%s where it has come to stand in the log", async (_, leaves, state) => {
    const continued = vi.fn();
    const options = leaves ? { onAbandoned: () => continued } : {};
    const held = hubHeldAt("run:a", createHub({ log: cluster.log }));
    const [closed, other] = [cluster.node({ ...options, hub: held.hub }), cluster.node(options)];
    const produce = vi.fn();
    const started = closed.runs.start({ id: "a", produce });
    await held.arrived;
    const closing = closed.runs.close();
    held.open();
    expect(await started).toEqual({ id: "a", state, joined: false });
    await closing;
    expect(await other.runs.ended("a")).toMatchObject({ state: leaves ? "done" : "abandoned" });
    expect(produce).not.toHaveBeenCalled();
    expect(continued).toHaveBeenCalledTimes(leaves ? 1 : 0);
  });
});

describe("a log that fails", () => {
  it("has readers come back, and the developer told", async () => {
    const told = vi.spyOn(console, "error").mockImplementation(() => undefined);
    onTestFinished(() => told.mockRestore());
    const failure = new EverstreamError("LOG_FAILED", "The log can't be reached.");
    const hub = hubWith(createHub({ log: cluster.log }), { read: () => Promise.reject(failure) });
    const { runs } = cluster.node({ hub });
    const answers = ["application/json", "text/event-stream"].map((accept) =>
      runs.respond(new Request("http://x/runs/a", { headers: { accept } }), "a"),
    );
    const [asJson, asStream] = await Promise.all(answers);
    expect([asJson?.status, asJson?.headers.get("retry-after")]).toEqual([503, "2"]);
    expect([asStream?.status, await asStream?.text()]).toEqual([
      200,
      expect.stringMatching(/^: failed\nretry: /),
    ]);
    expect(told).toHaveBeenCalledWith(expect.stringContaining("The log can't be reached."));
  });
});

describe("waiting for a run's end", () => {
  it("leaves no subscription behind where the log fails", async () => {
    const real = createHub({ log: cluster.log });
    let fails = false;
    const hub = hubWith(real, {
      read: (...args) => (fails ? Promise.reject(new Error("no log")) : real.read(...args)),
    });
    const { runs } = cluster.node({ hub });
    await runs.start({ id: "a", produce: (run) => aborted(run.signal) });
    const before = real.stats().subscriptions;
    fails = true;
    await expect(runs.ended("a")).rejects.toThrow("no log");
    fails = false;
    expect(real.stats().subscriptions).toBe(before);
  });
});
