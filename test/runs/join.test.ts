import { createHub, createRuns, memoryLog, type Run } from "everstream";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { eventually } from "../session/eventually.ts";
import { aborted, Cluster, ended, endingsOf, gate, join, statusOf, type TestNode, textOf } from "./nodes.ts";

const HOUR_MS = 3_600_000;

let cluster: Cluster;
let node: TestNode;
beforeEach(() => {
  cluster = new Cluster();
  node = cluster.node();
});
afterEach(() => cluster.close());

/** Writes each piece as an append of its own. */
async function writeApart(run: Run, pieces: readonly string[]): Promise<void> {
  for (const piece of pieces) {
    void run.text(piece);
    await run.send("cut").then(() => undefined);
  }
}

const words = (count: number): string[] => Array.from({ length: count }, (_, index) => `w${index} – 🙂 `);

describe("joining", () => {
  it("tells the text so far in few large events with the last id, then goes on live", async () => {
    const more = gate();
    const pieces = words(5000);
    await node.runs.start({
      id: "a",
      produce: async (run) => {
        for (const piece of pieces) {
          await run.text(piece.repeat(8));
          // Each leaves alone.
          await new Promise((resolve) => setImmediate(resolve));
        }
        await run.send("half");
        await more.promise;
        await run.text("the rest");
      },
    });
    await eventually(async () => {
      const { events } = await node.hub.read("run:a", { last: 1 });
      expect(events[0]?.type).toBe("half");
    });
    const other = cluster.node();
    const client = await join(other, "a");
    await client.until(({ events }) => events.some(({ event }) => event === "half"));
    const whole = pieces.map((piece) => piece.repeat(8)).join("");
    expect(textOf(client)).toBe(whole);
    const bytes = new TextEncoder().encode(whole).length;
    const tokens = client.events.filter(({ event }) => event === "token");
    for (const { data } of tokens)
      expect(new TextEncoder().encode(data).length).toBeLessThanOrEqual(32 * 1024);
    expect(tokens.length).toBeLessThanOrEqual(Math.ceil(bytes / (16 * 1024)) + 1);
    more.open();
    await ended(client);
    expect(textOf(client)).toBe(`${whole}the rest`);
    expect(endingsOf(client)).toHaveLength(1);
  });

  it("goes on exactly after whatever event a client has seen", async () => {
    await node.runs.start({
      id: "a",
      produce: (run) => writeApart(run, words(200)),
    });
    await node.runs.ended("a");
    const { events } = await node.hub.read("run:a");
    const all = words(200).join("");
    for (let index = 0; index < events.length; index += 7) {
      const seen = events
        .slice(0, index + 1)
        .map(({ type, data }) => (type === "token" ? (data as { content: string }).content : ""))
        .join("");
      const client = await join(node, "a", { lastEventId: events[index]?.id });
      await ended(client);
      expect(seen + textOf(client)).toBe(all);
    }
  });

  it("keeps everything of a run that is longer than what the hub keeps of other topics", async () => {
    await node.runs.start({
      id: "a",
      produce: async (run) => {
        for (let index = 0; index < 3000; index++) void run.send("n", index);
        await run.send("n", 3000);
      },
    });
    await node.runs.ended("a");
    const client = await join(node, "a");
    await ended(client);
    const numbers = client.events.filter(({ event }) => event === "n").map(({ data }) => Number(data));
    expect(numbers).toEqual(Array.from({ length: 3001 }, (_, index) => index));
    expect(client.gaps).toEqual([]);
  });

  it("tells the latest state alone of progress", async () => {
    const [begin, more, reported] = [gate(), gate(), gate()];
    await node.runs.start({
      id: "a",
      produce: async (run) => {
        await begin.promise;
        for (let index = 1; index <= 50; index++) await run.send("progress", { step: "x", progress: index });
        await writeApart(run, words(1500));
        reported.open();
        await more.promise;
      },
    });
    const live = await join(node, "a");
    begin.open();
    await reported.promise;
    const late = await join(node, "a");
    const progressOf = (client: typeof late) =>
      client.events.filter(({ event }) => event === "progress").map(({ data }) => JSON.parse(data).progress);
    await late.until((seen) => textOf(seen) === words(1500).join(""));
    expect(progressOf(late)).toEqual([50]);
    await live.until((seen) => textOf(seen) === words(1500).join(""));
    expect(progressOf(live)).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
    more.open();
    await ended(late);
  });

  it("that overtakes its start waits for it", async () => {
    const other = cluster.node({ joinWait: 20_000 });
    const joining = join(other, "a");
    await new Promise((resolve) => setImmediate(resolve));
    await node.runs.start({ id: "a", produce: (run) => run.text("here") });
    const client = await joining;
    await ended(client);
    expect(textOf(client)).toBe("here");
  });

  it("during the terminal event gets everything and one ending", async () => {
    for (let round = 0; round < 50; round++) {
      const finish = gate();
      await node.runs.start({
        id: `r${round}`,
        produce: async (run) => {
          await run.text("all");
          await finish.promise;
        },
      });
      finish.open();
      for (let turns = round % 7; turns > 0; turns--) await Promise.resolve();
      const client = await join(node, `r${round}`);
      await ended(client);
      expect([textOf(client), endingsOf(client).length]).toEqual(["all", 1]);
    }
  });
});

describe("joining what is not there", () => {
  it("gets 404 for an unknown id", async () => {
    expect(await statusOf(node, "nobody")).toBe(404);
    await expect(node.runs.ended("nobody")).rejects.toMatchObject({ code: "UNKNOWN_RUN" });
  });

  it("gets 410 once the run is no longer kept, and its id can't be started again", async () => {
    node = cluster.node({ keepFor: 1 });
    await node.runs.start({ id: "a", produce: () => undefined });
    await vi.waitFor(async () => expect(await statusOf(node, "a")).toBe(410), { timeout: 10_000 });
    expect(await node.runs.find("a")).toEqual({ kind: "expired" });
    await expect(node.runs.start({ id: "a", produce: () => undefined })).rejects.toMatchObject({
      code: "RUN_EXPIRED",
    });
    await expect(node.runs.ended("a")).rejects.toMatchObject({ code: "RUN_EXPIRED" });
  });

  it("keeps a run as long after its end as it should, however long it took", async () => {
    const clock = Date.now.bind(Date);
    let aheadMs = 0;
    const now = vi.spyOn(Date, "now").mockImplementation(() => clock() + aheadMs);
    onTestFinished(() => now.mockRestore());
    node = cluster.node({ keepFor: HOUR_MS });
    const finish = gate();
    await node.runs.start({ id: "short", produce: () => undefined });
    await node.runs.ended("short");
    await node.runs.start({ id: "a", produce: () => finish.promise });
    aheadMs += 0.8 * HOUR_MS;
    finish.open();
    await node.runs.ended("a");
    // Its first event is as old as all of the other, which is gone by the time of this look.
    aheadMs += 0.7 * HOUR_MS;
    await eventually(async () => expect(await statusOf(node, "short")).toBe(410));
    const client = await join(node, "a");
    expect(client.gaps).toEqual([]);
  });

  it("gets 410 with the cursor of a process whose memory is gone", async () => {
    await node.runs.start({ id: "a", produce: (run) => run.text("x") });
    const client = await join(node, "a");
    await ended(client);
    const hub = createHub({ log: memoryLog() });
    const restarted = { hub, runs: createRuns({ hub }) };
    expect(await statusOf(restarted, "a", client.lastEventId)).toBe(410);
    await restarted.runs.close();
    await hub.close();
  });
});

describe("a run that nobody reads", () => {
  const untilAborted = (run: Run) => aborted(run.signal);
  const STOP_MS = 10_000;

  beforeEach(() => {
    // Patience goes by the test's clock, so that no pause of this process makes a client late.
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  });
  afterEach(() => void vi.useRealTimers());

  /** Lets what came before be seen by all servers, and then time go by. */
  async function pass(ms: number): Promise<void> {
    for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve));
    await vi.advanceTimersByTimeAsync(ms);
  }

  it("goes on by default", async () => {
    const finish = gate();
    await node.runs.start({ id: "a", produce: () => finish.promise });
    const client = await join(node, "a");
    client.leave();
    finish.open();
    expect(await node.runs.ended("a")).toMatchObject({ state: "done" });
  });

  it("is stopped where asked, once its last client has left, on whatever node", async () => {
    const other = cluster.node();
    await node.runs.start({ id: "a", whenUnwatched: { stopAfterMs: STOP_MS }, produce: untilAborted });
    const clients = [await join(node, "a"), await join(other, "a")];
    clients[0]?.leave();
    await pass(3 * STOP_MS);
    expect(await node.runs.get("a")).toMatchObject({ state: "running" });
    clients[1]?.leave();
    await pass(STOP_MS);
    expect(await node.runs.ended("a")).toMatchObject({ state: "stopped", error: { code: "stopped" } });
  });

  it("is stopped where nobody came at all", async () => {
    await node.runs.start({ id: "a", whenUnwatched: { stopAfterMs: STOP_MS }, produce: untilAborted });
    await pass(STOP_MS);
    expect(await node.runs.ended("a")).toMatchObject({ state: "stopped" });
  });

  it("goes on when a client comes back in time", async () => {
    const finish = gate();
    await node.runs.start({
      id: "a",
      whenUnwatched: { stopAfterMs: STOP_MS },
      produce: () => finish.promise,
    });
    for (let round = 0; round < 4; round++) {
      await pass(0.6 * STOP_MS);
      const client = await join(node, "a");
      await pass(0.6 * STOP_MS);
      client.leave();
    }
    const client = await join(node, "a");
    finish.open();
    await ended(client);
    expect(endingsOf(client)).toEqual([{ type: "done", data: {} }]);
  });

  it.each(["drained", "stalled", "expired"] as const)(
    "goes on when the server has sent its readers away (%s)",
    async (reason) => {
      const other = cluster.node();
      const finish = gate();
      await node.runs.start({
        id: "a",
        whenUnwatched: { stopAfterMs: 0 },
        produce: async (run) => {
          await Promise.race([finish.promise, aborted(run.signal)]);
        },
      });
      await join(other, "a");
      other.hub.disconnect(() => true, reason);
      expect(other.hub.stats().sessions).toBe(0);
      // Time for a stop that is not to come.
      await pass(STOP_MS);
      finish.open();
      expect(await node.runs.ended("a")).toMatchObject({ state: "done" });
    },
  );
});
