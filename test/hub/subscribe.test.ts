import { createHub, type Hub, type HubEvent, memoryLog } from "everstream";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { until } from "../session/eventually.ts";
import { collectGarbage } from "../session/garbage.ts";
import { numbered } from "./client.ts";
import { remoteLog } from "./remote-log.ts";

let hub: Hub;
beforeEach(() => {
  hub = createHub();
});
afterEach(async () => {
  await hub.close();
  vi.restoreAllMocks();
});

const range = (count: number, from = 0): number[] =>
  Array.from({ length: count }, (_, index) => from + index);

/** Events are handed over soon, which on a busy machine is not at once. */
const has = (list: readonly unknown[], count: number) => until(() => list.length >= count);

describe("subscribing", () => {
  it("brings whole events: id, topic, type, data, key, time and notes", async () => {
    const events: HubEvent[] = [];
    await hub.subscribe(["a", "b"], (event) => events.push(event)).ready;
    const before = Date.now();
    const id = await hub.publish("b", { type: "x", data: { n: [1] }, key: "k", meta: { by: "me" } });
    await hub.publish("a", { text: "plain" });
    await has(events, 2);
    expect(events).toEqual([
      { id, topic: "b", type: "x", data: { n: [1] }, key: "k", time: expect.any(Number), meta: { by: "me" } },
      expect.objectContaining({ topic: "a", type: "message", data: "plain", key: undefined, meta: {} }),
    ]);
    expect(events[0]?.time).toBeGreaterThanOrEqual(before);
    expect(events[0]?.time).toBeLessThanOrEqual(Date.now());
  });

  it("misses nothing from the call on, even of a hub that was never used before", async () => {
    const seen: unknown[] = [];
    const unsubscribe = hub.subscribe("t", ({ data }) => seen.push(data));
    await hub.publish("t", { data: 1 });
    await unsubscribe.ready;
    await hub.publish("t", { data: 2 });
    await has(seen, 2);
    expect(seen).toEqual([1, 2]);
  });

  it("after a position: what was published since, then live, with no hole in a snapshot", async () => {
    const far = createHub({ log: remoteLog(memoryLog()) });
    let state = 0;
    const publishing = (async () => {
      for (let index = 1; index <= 300; index++) {
        state = index;
        await far.publish("t", { data: index });
      }
    })();
    const position = await far.position();
    const snapshot = state;
    const seen: number[] = [];
    await far.subscribe("t", ({ data }) => seen.push(data as number), { after: position }).ready;
    await publishing;
    await until(() => seen.at(-1) === 300);
    // Nothing between the snapshot and the first event seen.
    expect(seen[0]).toBeLessThanOrEqual(snapshot + 1);
    expect(seen).toEqual(range(seen.length, seen[0]));
    await far.close();
  });

  it("from the start, and from the last few", async () => {
    await hub.publish("t", numbered(500));
    const all: unknown[] = [];
    const last: unknown[] = [];
    await hub.subscribe("t", ({ data }) => all.push(data), { from: "start" }).ready;
    await hub.subscribe("t", ({ data }) => last.push(data), { from: { last: 3 } }).ready;
    await hub.publish("t", { data: 500 });
    await until(() => all.length === 501 && last.length === 4);
    expect(all).toEqual(range(501));
    expect(last).toEqual([497, 498, 499, 500]);
  });

  it("says of a cursor that can't be resumed that it can't, with an id to go on after", async () => {
    const small = createHub({ retention: { maxEvents: 2 } });
    const ids = await small.publish("t", numbered(5));
    const events: HubEvent[] = [];
    await small.subscribe("t", (event) => events.push(event), { after: ids[0] as string }).ready;
    await has(events, 3);
    expect(events[0]).toMatchObject({
      type: "sse:gap",
      id: ids[0],
      topic: "t",
      data: { topic: "t", reason: "trimmed", after: ids[0], next: ids[3] },
    });
    expect(events.slice(1).map(({ data }) => data)).toEqual([3, 4]);
    await small.close();
  });

  it("a listener that throws or rejects is reported and hurts neither others nor the publisher", async () => {
    const reported = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const seen: unknown[] = [];
    await hub.subscribe("t", () => {
      throw new Error("sync");
    }).ready;
    await hub.subscribe("t", async () => {
      throw new Error("async");
    }).ready;
    await hub.subscribe("t", ({ data }) => seen.push(data)).ready;
    await hub.publish("t", numbered(2));
    await has(seen, 2);
    expect(seen).toEqual([0, 1]);
    await until(() => reported.mock.calls.length === 4);
    expect(reported.mock.calls.flat()).toContainEqual(new Error("sync"));
    expect(reported.mock.calls.flat()).toContainEqual(new Error("async"));
  });

  it("each listener gets data of its own: what one does to it the others do not see", async () => {
    const seen: unknown[] = [];
    for (let index = 0; index < 2; index++) {
      await hub.subscribe("t", ({ data }) => seen.push((data as number[]).push(index))).ready;
    }
    await hub.publish("t", { data: [] });
    await has(seen, 2);
    expect(seen).toEqual([1, 1]);
  });

  it("unsubscribing takes effect at once, also in the middle of a batch, and leaves nothing behind", async () => {
    const seen: unknown[] = [];
    const unsubscribe = hub.subscribe(["a", "b"], ({ data }) => {
      seen.push(data);
      if (data === 1) unsubscribe();
    });
    await unsubscribe.ready;
    expect(hub.stats()).toMatchObject({ subscriptions: 1, topics: 2 });
    await hub.publish("a", numbered(5));
    await has(seen, 2);
    unsubscribe();
    expect(seen).toEqual([0, 1]);
    expect(hub.stats()).toMatchObject({ subscriptions: 0, topics: 0 });
  });

  it("a signal ends it, before as after it began", async () => {
    const seen: unknown[] = [];
    const controller = new AbortController();
    await hub.subscribe("t", ({ data }) => seen.push(data), { signal: controller.signal }).ready;
    await hub.subscribe("t", ({ data }) => seen.push(data), { signal: AbortSignal.abort() }).ready;
    await hub.publish("t", { data: 1 });
    await has(seen, 1);
    controller.abort();
    await hub.publish("t", { data: 2 });
    expect(seen).toEqual([1]);
    expect(hub.stats()).toMatchObject({ subscriptions: 0, topics: 0 });
  });

  it("one that is ended while it begins never begins", async () => {
    const far = createHub({ log: remoteLog(memoryLog()) });
    const unsubscribe = far.subscribe(["a", "b"], () => expect.fail("called"), { from: "start" });
    unsubscribe();
    await unsubscribe.ready;
    await far.publish("a", { data: 1 });
    expect(far.stats()).toMatchObject({ subscriptions: 0, topics: 0 });
    await far.close();
  });

  it("a listener may publish: readers see both in order", async () => {
    const seen: unknown[] = [];
    await hub.subscribe("t", ({ data }) => {
      if ((data as number) < 20) void hub.publish("t", { data: (data as number) + 1 });
    }).ready;
    await hub.subscribe("t", ({ data }) => seen.push(data)).ready;
    await hub.publish("t", { data: 0 });
    await has(seen, 21);
    expect(seen).toEqual(range(21));
  });

  it("joining and leaving 100,000 topics leaves nothing behind, in memory neither", async () => {
    const pass = async (from: number, to: number) => {
      for (let index = from; index < to; index++) {
        const unsubscribe = hub.subscribe([`own${index}`, "common"], () => undefined);
        if (index % 100 === 0) {
          await hub.publish(`own${index}`, { data: index });
          await hub.delete(`own${index}`);
        }
        unsubscribe();
      }
      await collectGarbage();
      return process.memoryUsage().heapUsed;
    };
    // Whatever the first few make is made once.
    const before = await pass(0, 5000);
    const after = await pass(5000, 105_000);
    expect(hub.stats()).toMatchObject({ subscriptions: 0, topics: 0 });
    // An entry in a map for each would come to more.
    expect(after - before).toBeLessThan(3_000_000);
  });
});

describe("a loop over events", () => {
  it("sees everything from the call on, and leaving it unsubscribes", async () => {
    const loop = hub.events(["a", "b"]);
    for (let index = 0; index < 10; index++) await hub.publish(index % 2 ? "a" : "b", { data: index });
    const seen: unknown[] = [];
    for await (const { data } of loop) {
      seen.push(data);
      if (data === 9) break;
    }
    expect(seen).toEqual(range(10));
    expect(hub.stats()).toMatchObject({ subscriptions: 0, topics: 0 });
    expect(await loop.next()).toEqual({ done: true, value: undefined });
  });

  it("a slow one holds at most a few events, holds nobody up, and misses nothing", async () => {
    let reads = 0;
    const onCall = (call: string) => {
      if (call === "read") reads++;
    };
    const log = remoteLog(memoryLog(), { onCall });
    const roomy = createHub({ log, retention: { maxEvents: 10_000, maxBytes: 1e9 } });
    const loop = roomy.events("t");
    for (let index = 0; index < 5000; index += 100) await roomy.publish("t", numbered(100, index));
    const seen: unknown[] = [];
    reads = 0;
    for await (const { data } of loop) {
      seen.push(data);
      if (seen.length % 500 === 0) await new Promise((resolve) => setImmediate(resolve));
      if (data === 4999) break;
    }
    expect(seen).toEqual(range(5000));
    // All but the newest came from the log, only when they were wanted.
    expect(reads).toBeGreaterThan(20);
    await roomy.close();
  });

  it("ends when its topics are finished, after the last event", async () => {
    const loop = hub.events("t", { from: "start" });
    await hub.publish("t", numbered(3));
    await hub.finish("t");
    const seen: unknown[] = [];
    for await (const { data } of loop) seen.push(data);
    expect(seen).toEqual([0, 1, 2]);
    expect(hub.stats()).toMatchObject({ subscriptions: 0, topics: 0 });
  });

  it("one that waits for an event can be left, by return, by its signal and by closing the hub", async () => {
    const controller = new AbortController();
    const left = hub.events("t");
    const aborted = hub.events("t", { signal: controller.signal });
    const closed = hub.events("t");
    const waiting = [left.next(), aborted.next(), closed.next()];
    await left.return?.();
    controller.abort();
    await hub.close();
    expect(await Promise.all(waiting)).toEqual(Array(3).fill({ done: true, value: undefined }));
  });

  it("several calls of next wait in order", async () => {
    const loop = hub.events("t");
    const waiting = [loop.next(), loop.next(), loop.next()];
    await hub.publish("t", numbered(3));
    const values = await Promise.all(waiting);
    expect(values.map(({ value }) => value?.data)).toEqual([0, 1, 2]);
  });

  it("fails where the log can't be opened", async () => {
    const broken = createHub({ log: { open: () => Promise.reject(new Error("no log")) } });
    await expect(broken.events("t").next()).rejects.toThrow("no log");
    expect(broken.stats().subscriptions).toBe(0);
  });
});
