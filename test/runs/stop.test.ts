import type { Produce, Run } from "everstream";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { eventually } from "../session/eventually.ts";
import { aborted, Cluster, ended, endingsOf, gate, join, type TestNode, textOf } from "./nodes.ts";

let cluster: Cluster;
let node: TestNode;
let other: TestNode;
beforeEach(() => {
  cluster = new Cluster();
  node = cluster.node();
  other = cluster.node();
});
afterEach(() => cluster.close());

describe("stopping", () => {
  it("ends the run from any node, with what it has written, and the producer's work", async () => {
    const seen = gate();
    const produce: Produce = async (run) => {
      await run.text("so");
      await run.text(" far");
      await aborted(run.signal);
      seen.open();
      throw run.signal.reason;
    };
    await node.runs.start({ id: "a", produce });
    const client = await join(other, "a");
    await client.until((reader) => textOf(reader) === "so far");
    await other.runs.stop("a");
    await ended(client);
    await seen.promise;
    expect(endingsOf(client)).toEqual([
      { type: "error", data: { code: "stopped", message: expect.any(String) } },
    ]);
    expect(await other.runs.get("a")).toMatchObject({ state: "stopped" });
  });

  it("writes what waits before the end", async () => {
    const written = gate();
    await node.runs.start({
      id: "a",
      produce: async (run) => {
        for (const piece of ["a", "b", "c"]) void run.text(piece);
        written.open();
        await aborted(run.signal);
      },
    });
    await written.promise;
    await node.runs.stop("a");
    const client = await join(other, "a");
    await ended(client);
    expect(textOf(client)).toBe("abc");
    expect(client.events.at(-2)?.event).toBe("error");
  });

  it("may be done again, and after the end changes nothing", async () => {
    await node.runs.start({ id: "a", produce: (run) => aborted(run.signal) });
    await Promise.all([node.runs.stop("a"), node.runs.stop("a"), other.runs.stop("a")]);
    await other.runs.stop("a");
    expect(await node.runs.ended("a")).toMatchObject({ state: "stopped" });
    await node.runs.start({ id: "b", produce: () => undefined });
    await node.runs.ended("b");
    await other.runs.stop("b");
    expect(await node.runs.get("b")).toMatchObject({ state: "done" });
  });

  it("before the start arrives has the run end as it begins, and nothing produced", async () => {
    const produce = vi.fn();
    await other.runs.stop("a");
    expect(await node.runs.start({ id: "a", produce })).toEqual({ id: "a", state: "stopped", joined: false });
    expect(produce).not.toHaveBeenCalled();
    const client = await join(other, "a");
    await ended(client);
    expect(client.events.map(({ event }) => event)).toEqual(["run", "error", "sse:end"]);
  });

  it("at the same moment as the start ends it, whichever is first", async () => {
    for (let round = 0; round < 30; round++) {
      const id = `r${round}`;
      await Promise.all([
        node.runs.start({ id, produce: (run) => aborted(run.signal) }),
        (round % 2 === 0 ? node : other).runs.stop(id),
      ]);
      expect(await other.runs.ended(id)).toMatchObject({ state: "stopped" });
    }
  });

  it("an old run does not hit the new one of its key", async () => {
    const untilAborted = (run: Run) => aborted(run.signal);
    await node.runs.start({ id: "old", key: "k", produce: untilAborted });
    await other.runs.start({ id: "new", key: "k", onBusy: "replace", produce: untilAborted });
    await node.runs.stop("old");
    await other.runs.stop("old");
    expect(await node.runs.ended("old")).toMatchObject({ state: "stopped" });
    expect(await node.runs.get("new")).toMatchObject({ state: "running" });
    expect(await node.runs.running()).toEqual(["new"]);
    await node.runs.stop("new");
  });

  it("frees the key at once", async () => {
    for (let round = 0; round < 20; round++) {
      await node.runs.start({ id: `r${round}`, key: "k", produce: (run) => aborted(run.signal) });
      await (round % 2 === 0 ? node : other).runs.stop(`r${round}`);
    }
  });
});

describe("what processes know together", () => {
  it("stays as large as what is running, however many runs there were", async () => {
    await node.runs.start({ id: "stays", key: "k", produce: (run) => aborted(run.signal) });
    for (let round = 0; round < 700; round++) {
      await node.runs.start({ id: `r${round}`, produce: () => undefined });
    }
    await eventually(async () => expect(await node.runs.running()).toEqual(["stays"]));
    const { events } = await node.hub.read("run:");
    expect(events.length).toBeLessThan(1100);
    const late = cluster.node();
    expect(await late.runs.running()).toEqual(["stays"]);
    await expect(late.runs.start({ key: "k", produce: () => undefined })).rejects.toMatchObject({
      code: "RUN_BUSY",
    });
    await late.runs.stop("stays");
    expect(await late.runs.ended("stays")).toMatchObject({ state: "stopped" });
  });

  it("may be lost without a run staying for ever", async () => {
    await node.runs.start({ id: "a", produce: (run) => aborted(run.signal) });
    await node.hub.delete("run:");
    const client = await join(cluster.node(), "a");
    await ended(client);
    expect(endingsOf(client)).toHaveLength(1);
  });
});
