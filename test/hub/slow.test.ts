import { createHub, type Hub, type HubEvent, memoryLog, type SlowConsumerOption } from "everstream";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { pulseSize } from "../../src/session/pulse.ts";
import { until } from "../session/eventually.ts";
import { type ConnectOptions, connect, numbered, numbers, type TestClient } from "./client.ts";
import { Barrier, HandLog } from "./hand-log.ts";
import { remoteLog } from "./remote-log.ts";

const hubs: Hub[] = [];

/** Longer than anybody may be behind. */
const LONG_MS = 1000;

function makeHub(slowConsumer: SlowConsumerOption, maxWaitingBytes = 2000): Hub {
  const hub = createHub({ slowConsumer, limits: { maxWaitingBytes } });
  hubs.push(hub);
  return hub;
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance"] });
});

afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(hubs.splice(0).map((hub) => hub.close()));
});

/** A client that is live and takes nothing: `first` is what it has, `held` what lies in its transport. */
async function stalledClient(hub: Hub, options: ConnectOptions): Promise<TestClient> {
  const client = await connect(hub, options);
  const topic = [options.topics].flat()[0] as string;
  await hub.publish(topic, { data: "first" });
  await client.until(({ data }) => data.length === 1);
  client.sink.stalled = true;
  await hub.publish(topic, { data: "held" });
  await expect.poll(() => client.sink.full).toBe(true);
  await hub.publish(topic, { data: "waiting" });
  vi.advanceTimersByTime(LONG_MS);
  return client;
}

function goOn(client: TestClient): void {
  client.sink.stalled = false;
  client.sink.drain();
}

const json = (...texts: string[]): string[] => texts.map((text) => JSON.stringify(text));

describe("resume", () => {
  it("gives a slow client everything", async () => {
    const hub = makeHub("resume");
    const client = await stalledClient(hub, { topics: "t" });
    for (const event of numbered(200)) await hub.publish("t", event);
    goOn(client);
    await client.until(({ data }) => data.length === 203);
    expect(client.data).toEqual([...json("first", "held", "waiting"), ...numbers(200)]);
    expect(client.gaps).toEqual([]);
  });
});

describe("dropOldest", () => {
  it("leaves out what waited longest and says so, once, and the rest is complete", async () => {
    const hub = makeHub("dropOldest");
    const client = await stalledClient(hub, { topics: "t" });
    const after = client.lastEventId;
    const ids: string[] = [];
    for (const event of numbered(200)) ids.push(await hub.publish("t", event));
    goOn(client);
    await client.until(({ data }) => data.at(-1) === "199");
    const rest = client.data.slice(2);
    expect(rest.length).toBeLessThan(20);
    expect(rest).toEqual(numbers(rest.length, 200 - rest.length));
    const [gap, ...more] = client.gaps;
    expect(more).toEqual([]);
    expect(gap).toMatchObject({ topic: "t", reason: "overflow", next: ids[200 - rest.length] });
    expect(gap?.after).not.toBe(after);
    expect(hub.stats()).toMatchObject({ dropped: 1, gaps: { overflow: 1 } });

    const again = await connect(hub, { topics: "t", lastEventId: client.lastEventId });
    await hub.publish("t", { data: "later" });
    await again.until(({ data }) => data.length === 1);
    expect(again.data).toEqual(json("later"));
    expect(again.gaps).toEqual([]);
  });

  it("does so each time anew", async () => {
    const hub = makeHub("dropOldest");
    const client = await stalledClient(hub, { topics: "t" });
    for (let round = 1; round <= 3; round++) {
      for (const event of numbered(100, round * 100)) await hub.publish("t", event);
      vi.advanceTimersByTime(LONG_MS);
      goOn(client);
      await client.until(({ data }) => data.at(-1) === String(round * 100 + 99));
      expect(client.gaps).toHaveLength(round);
      client.sink.stalled = true;
      await hub.publish("t", { data: "held" });
      await hub.publish("t", { data: "waiting" });
      vi.advanceTimersByTime(LONG_MS);
    }
  });

  it("spares who is only passed by a burst", async () => {
    const hub = makeHub("dropOldest");
    const client = await connect(hub, { topics: "t" });
    await hub.publish("t", numbered(1000));
    await client.until(({ data }) => data.length === 1000);
    expect(client.gaps).toEqual([]);
  });

  it("spares who reads the past, however slowly", async () => {
    const hub = makeHub("dropOldest");
    for (const event of numbered(500)) await hub.publish("t", event);
    const client = await connect(hub, { topics: "t", from: "start" });
    client.sink.stalled = true;
    await expect.poll(() => client.sink.full).toBe(true);
    vi.advanceTimersByTime(LONG_MS);
    for (const event of numbered(400, 500)) await hub.publish("t", event);
    goOn(client);
    await client.until(({ data }) => data.length === 900);
    expect(client.data).toEqual(numbers(900));
    expect(client.gaps).toEqual([]);
  });

  it("holds for its topics alone: of another one, nothing is missing, and the order stays", async () => {
    const hub = makeHub((topic) => (topic === "lossy" ? "dropOldest" : "resume"));
    const client = await stalledClient(hub, { topics: ["lossy", "kept"] });
    for (let index = 0; index < 200; index++) {
      await hub.publish("lossy", { type: "lossy", data: index });
      await hub.publish("kept", { type: "kept", data: index });
    }
    goOn(client);
    await client.until(({ events }) => events.at(-1)?.event === "kept" && events.at(-1)?.data === "199");
    const kept = client.events.filter(({ event }) => event === "kept").map(({ data }) => data);
    const lossy = client.events.filter(({ event }) => event === "lossy").map(({ data }) => Number(data));
    expect(kept).toEqual(numbers(200));
    expect(lossy.length).toBeLessThan(100);
    expect(lossy).toEqual(numbers(lossy.length, 200 - lossy.length).map(Number));
    expect(client.gaps).toMatchObject([{ topic: "lossy", reason: "overflow" }]);
    const order = client.events.map(({ lastEventId }) =>
      Number.parseInt(lastEventId.split("-")[1] ?? "", 36),
    );
    expect(order).toEqual([...order].sort((a, b) => a - b));
  });
});

describe("dropOldest, where the feed had a hole", () => {
  it("drops nothing that was not in memory: who was behind reads it from the log, of all topics", async () => {
    const log = new HandLog();
    const hub = createHub({ log: log.log, slowConsumer: { policy: "dropOldest", maxBytes: 3000 } });
    hubs.push(hub);
    const loop = hub.events(["a", "b"]);
    await until(() => hub.stats().topics === 2);
    await hub.position();
    const tellNext = (topic: string): void => {
      log.add(topic);
      log.tell(log.head - 1);
    };
    for (let index = 0; index < 70; index++) tellNext("a");
    await new Promise((resolve) => setImmediate(resolve));
    vi.advanceTimersByTime(LONG_MS);
    log.add("b");
    for (let index = 0; index < 30; index++) tellNext("a");
    const read: unknown[] = [];
    for await (const { type, data } of loop) {
      read.push(type === "sse:gap" ? type : data);
      if (data === "a101") break;
    }
    expect(read).toEqual(log.entries.map(({ event }) => event.data));
  });
});

describe("latestByKey", () => {
  it("gives the newest event of each key in order, and all that have none", async () => {
    const hub = makeHub("latestByKey");
    const client = await stalledClient(hub, { topics: "t" });
    for (let index = 0; index < 300; index++) {
      await hub.publish("t", { data: index, key: `k${index % 3}` });
      if (index % 100 === 0) await hub.publish("t", { data: `no key ${index}` });
    }
    goOn(client);
    await client.until(({ data }) => data.at(-1) === "299");
    const [, , ...rest] = client.data;
    expect(rest.length).toBeLessThan(40);
    for (const text of ["waiting", "no key 0", "no key 100", "no key 200"]) {
      expect(rest).toContain(JSON.stringify(text));
    }
    const read = rest.filter((text) => /^\d/.test(text)).map(Number);
    expect(read).toEqual([...new Set(read)].sort((a, b) => a - b));
    expect(read.slice(-3)).toEqual([297, 298, 299]);
    expect(client.gaps).toEqual([]);
    await hub.publish("t", { data: 300, key: "k0" });
    await hub.publish("t", { data: 301, key: "k0" });
    await client.until(({ data }) => data.at(-1) === "301");
    expect(client.data.slice(-2)).toEqual(["300", "301"]);
    expect(hub.stats().dropped).toBeGreaterThan(0);
  });

  it("tells of an erasure all the same", async () => {
    let page: Barrier | undefined;
    const log = remoteLog(memoryLog(), {
      onCall: (call, moment) => (call === "read" && moment === "before" ? page?.pass() : undefined),
    });
    const hub = createHub({ log, slowConsumer: "latestByKey", limits: { maxWaitingBytes: 2000 } });
    hubs.push(hub);
    const client = await stalledClient(hub, { topics: "t" });
    const after = client.lastEventId;
    for (let index = 0; index < 100; index++) await hub.publish("t", { data: index, key: "k" });
    page = new Barrier();
    goOn(client);
    await page.reached;
    await hub.delete("t");
    await hub.publish("t", { data: "new" });
    page.open();
    await client.until(({ data }) => data.length === 3);
    expect(client.data).toEqual(json("first", "held", "new"));
    expect(client.gaps).toMatchObject([{ topic: "t", reason: "deleted" }]);
    expect(client.gaps[0]?.after).not.toBe(after);
  });

  it("counts nothing as dropped where each event has a key of its own", async () => {
    const hub = makeHub("latestByKey");
    const client = await stalledClient(hub, { topics: "t" });
    for (let index = 0; index < 300; index++) await hub.publish("t", { data: index, key: `k${index}` });
    goOn(client);
    await client.until(({ data }) => data.length === 303);
    expect(hub.stats().dropped).toBe(0);
  });

  it("tells of no gap where the log has let go of what was replaced", async () => {
    const hub = createHub({
      slowConsumer: "latestByKey",
      limits: { maxWaitingBytes: 1000 },
      retention: { maxEvents: 20 },
    });
    hubs.push(hub);
    const client = await stalledClient(hub, { topics: "t" });
    for (let index = 0; index < 100; index++) await hub.publish("t", { data: index, key: "k" });
    goOn(client);
    await client.until(({ data }) => data.at(-1) === "99");
    expect(client.gaps).toEqual([]);
  });
});

describe("disconnect", () => {
  it("cuts off who takes nothing, and a return gets what was missed", async () => {
    const hub = makeHub("disconnect");
    const client = await stalledClient(hub, { topics: "t" });
    const closed = new Promise((resolve) => client.session.onClose(resolve));
    for (const event of numbered(100)) await hub.publish("t", event);
    expect(await closed).toBe("slow");
    const again = await connect(hub, { topics: "t", lastEventId: client.lastEventId });
    await again.until(({ data }) => data.at(-1) === "99");
    expect(again.data).toEqual([...json("held", "waiting"), ...numbers(100)]);
  });

  it("cuts off who fell behind by what was published last, though nothing comes any more", async () => {
    // By the clock that all timers of the process go by.
    vi.useRealTimers();
    const before = pulseSize();
    const hub = makeHub("disconnect");
    const client = await connect(hub, { topics: "t" });
    client.sink.stalled = true;
    for (const event of numbered(100)) await hub.publish("t", event);
    expect(await new Promise((resolve) => client.session.onClose(resolve))).toBe("slow");
    await hub.close();
    expect(pulseSize()).toBeLessThanOrEqual(before);
  });

  it("spares who waits for a little only", async () => {
    const hub = makeHub({ policy: "disconnect", maxBytes: 1_000_000 });
    const client = await stalledClient(hub, { topics: "t" });
    for (const event of numbered(100)) await hub.publish("t", event);
    goOn(client);
    await client.until(({ data }) => data.at(-1) === "99");
    expect(client.gaps).toEqual([]);
  });

  it("fails a loop that is too slow, after what it holds already", async () => {
    const hub = makeHub("disconnect");
    const loop = hub.events("t");
    const read: HubEvent[] = [];
    for (const event of numbered(70)) await hub.publish("t", event);
    vi.advanceTimersByTime(LONG_MS);
    for (const event of numbered(100)) await hub.publish("t", event);
    const reading = (async () => {
      for await (const event of loop) read.push(event);
    })();
    await expect(reading).rejects.toMatchObject({ code: "OVERFLOW" });
    expect(read.map(({ data }) => data)).toEqual(numbers(read.length).map(Number));
  });
});

describe("the option", () => {
  it.each([["never"], [{ policy: "resume", maxBytes: -1 }]])("refuses %j", (slowConsumer) => {
    const make = (): Hub => createHub({ slowConsumer: slowConsumer as "resume" });
    expect(make).toThrow(expect.objectContaining({ code: "INVALID_OPTION" }));
  });

  it("leaves alone who asks for the past in fewer words, as who joins a run", async () => {
    const hub = makeHub("dropOldest");
    const compaction = { key: "all", compact: <E>(entries: readonly E[]) => entries };
    const client = await stalledClient(hub, { topics: "t", compaction });
    for (const event of numbered(200)) await hub.publish("t", event);
    goOn(client);
    await client.until(({ data }) => data.length === 203);
    expect(client.gaps).toEqual([]);
  });
});
