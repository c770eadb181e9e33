import {
  createHub,
  type Epoch,
  type EventLog,
  type Hub,
  type LogFeed,
  memoryLog,
  type SubscribeOptions,
} from "everstream";
import { afterEach, describe, expect, it } from "vitest";
import { until } from "../session/eventually.ts";
import { connect, numbered, numbers, openClient, type TestClient } from "./client.ts";
import { Barrier } from "./hand-log.ts";
import { remoteLog, withFeedHeld } from "./remote-log.ts";

const hubs: Hub[] = [];
afterEach(() => Promise.all(hubs.splice(0).map((hub) => hub.close())));

function hubOf(...[options]: Parameters<typeof createHub>): Hub {
  const hub = createHub(options);
  hubs.push(hub);
  return hub;
}

describe("trimmed", () => {
  it("says so before it goes on at the oldest event kept, and the next cursor is good", async () => {
    const hub = hubOf({ retention: { maxEvents: 5 } });
    const ids = await hub.publish("t", numbered(20));
    const client = await connect(hub, { topics: "t", lastEventId: ids[3] });
    await client.until(({ data }) => data.length === 5);
    expect(client.events[0]).toMatchObject({ event: "sse:gap" });
    expect(client.gaps).toEqual([{ topic: "t", reason: "trimmed", after: ids[3], next: ids[15] }]);
    expect(client.data).toEqual(numbers(5, 15));
    // Told once: whoever comes back with the opening's position is told nothing twice.
    const again = await connect(hub, { topics: "t", lastEventId: client.checkpoints[0] });
    await again.until(({ data }) => data.length === 5);
    expect(again.gaps).toEqual([]);
    expect(hub.stats().gaps.trimmed).toBe(1);
  });

  it("a gap carries no id: the client keeps its cursor until it has something after it", async () => {
    const hub = hubOf({ retention: { maxEvents: 5 } });
    const ids = await hub.publish("t", numbered(20));
    await hub.publish("u", { data: 1 });
    const response = await hub.respond(
      new Request("http://localhost/", { headers: { "last-event-id": ids[0] as string } }),
      { topics: ["t", "u"] },
    );
    await hub.close();
    const blocks = (await response.text()).split("\n\n");
    expect(blocks.find((block) => block.startsWith("event: sse:gap"))).not.toContain("\nid:");
    // The other topic has lost nothing, so the position may not move before its events were sent.
    expect(blocks.find((block) => block.startsWith("event: sse:live"))).toContain(`\nid: ${ids[0]}`);
  });

  it("names the topics that lost something, and loses nothing of the others", async () => {
    const hub = hubOf({ retention: (topic) => ({ maxEvents: topic === "few" ? 2 : 100 }) });
    const [first] = await hub.publish("many", numbered(1));
    for (let index = 1; index < 40; index++) await hub.publish(index % 2 ? "few" : "many", { data: index });
    const client = await connect(hub, { topics: ["few", "many"], lastEventId: first });
    await client.until(({ data }) => data.at(-1) === "39");
    expect(client.gaps).toEqual([expect.objectContaining({ topic: "few", reason: "trimmed", after: first })]);
    expect(client.data).toEqual(numbers(39, 1).filter((n) => Number(n) % 2 === 0 || Number(n) >= 37));
  });

  it("a listener and a loop get nothing either of what a gap has said to be missing, be it in memory still", async () => {
    const hub = hubOf({ retention: (topic) => ({ maxEvents: topic === "few" ? 2 : 100 }) });
    const after = await hub.publish("many", { data: "first" });
    await hub.publish("few", numbered(2));
    const early: unknown[] = [];
    await hub.subscribe(["few", "many"], ({ data }) => early.push(data), { after }).ready;
    await until(() => early.length === 2);
    await hub.publish("few", numbered(2, 2));
    await hub.publish("many", { data: "last" });
    const [heard, looped]: [unknown[], unknown[]] = [[], []];
    const note = (into: unknown[], type: string, data: unknown): void => {
      into.push(type === "sse:gap" ? type : data);
    };
    await hub.subscribe(["few", "many"], ({ type, data }) => note(heard, type, data), { after }).ready;
    for await (const { type, data } of hub.events(["few", "many"], { after })) {
      note(looped, type, data);
      if (data === "last") break;
    }
    await until(() => heard.length >= 4 && early.length >= 5);
    expect([heard, looped]).toEqual([
      ["sse:gap", 2, 3, "last"],
      ["sse:gap", 2, 3, "last"],
    ]);
    expect(early).toEqual([0, 1, 2, 3, "last"]);
  });

  it("tells of what is trimmed while the client is being replayed to", async () => {
    const hub = hubOf({ retention: { maxEvents: 10 } });
    const text = "x".repeat(20_000);
    const start = await hub.publish("t", { data: { index: 0, text } });
    for (let index = 1; index < 10; index++) await hub.publish("t", { data: { index, text } });
    const client = await connect(hub, { topics: "t", lastEventId: start });
    client.sink.stalled = true;
    await until(() => client.sink.full);
    for (let index = 10; index < 30; index++) await hub.publish("t", { data: { index, text } });
    client.sink.stalled = false;
    client.sink.drain();
    await client.until(({ data }) => data.length > 0 && JSON.parse(data.at(-1) as string).index === 29);
    const seen = client.data.map((data) => JSON.parse(data).index as number);
    expect(client.gaps).toEqual([expect.objectContaining({ topic: "t", reason: "trimmed" })]);
    const hole = seen.findIndex((index, at) => at > 0 && index !== (seen[at - 1] as number) + 1);
    expect(seen.slice(hole)).toEqual(Array.from({ length: 10 }, (_, index) => 20 + index));
    expect(client.events[hole]?.event).toBe("sse:gap");
  });

  it("a slow client that the log has passed is told, not silently skipped", async () => {
    const hub = hubOf({ retention: { maxEvents: 10 }, limits: { maxWaitingBytes: 1000 } });
    const client = await connect(hub, { topics: "t" });
    await client.until(({ checkpoints }) => checkpoints.length === 1);
    client.sink.stalled = true;
    for (let index = 0; index < 100; index++) await hub.publish("t", { data: index });
    client.sink.stalled = false;
    client.sink.drain();
    await client.until(({ data }) => data.at(-1) === "99");
    expect(client.data.slice(-10)).toEqual(numbers(10, 90));
    expect(client.gaps).toHaveLength(1);
    expect(client.events.at(-11)?.event).toBe("sse:gap");
  });
});

describe("epoch", () => {
  it("a cursor of the process before: told so, then as a first opening", async () => {
    const id = await hubOf().publish("t", { data: "old" });
    const hub = hubOf();
    const ids = await hub.publish("t", numbered(3));
    const now = await connect(hub, { topics: "t", lastEventId: id });
    expect(now.gaps).toEqual([{ reason: "epoch", after: id, next: ids[2] }]);
    expect(now.checkpoints).toEqual([ids[2]]);
    const start = await connect(hub, { topics: "t", lastEventId: id, from: "start" });
    await start.until(({ data }) => data.length === 3);
    expect(start.gaps).toHaveLength(1);
    await hub.publish("t", { data: 3 });
    for (const client of [now, start]) await client.until(({ data }) => data.at(-1) === "3");
    expect(now.data).toEqual(["3"]);
    expect(start.data).toEqual(numbers(4));
  });

  it("a cursor of an older epoch is good up to that epoch's end, and not beyond", async () => {
    const near = memoryLog();
    const writer = hubOf({ log: near });
    const ids = await writer.publish("t", numbered(10));
    const first = Number.parseInt((ids[0] as string).split("-")[0] as string, 36);
    const hub = hubOf({
      log: withEpochs(near, [
        { epoch: first, first: 1 },
        { epoch: 77, first: 6 },
      ]),
    });
    const good = await connect(hub, { topics: "t", lastEventId: ids[4] });
    const beyond = await connect(hub, { topics: "t", lastEventId: ids[5] });
    const current = await connect(hub, { topics: "t", lastEventId: (77).toString(36).concat("-8") });
    await good.until(({ data }) => data.length === 5);
    await current.until(({ data }) => data.length === 2);
    expect(good.gaps).toEqual([]);
    expect(good.data).toEqual(numbers(5, 5));
    expect(good.events[0]?.lastEventId).toBe("25-6");
    expect(beyond.gaps).toEqual([expect.objectContaining({ reason: "epoch", after: ids[5] })]);
    expect(current.data).toEqual(["8", "9"]);
  });

  it("a log that loses its data while streams are open: everybody is told and goes on from there", async () => {
    const near = memoryLog();
    let feed: LogFeed | undefined;
    const hub = hubOf({
      log: {
        async open(given) {
          feed = given;
          return near.open(given);
        },
      },
    });
    const client = await connect(hub, { topics: "t" });
    const heard: unknown[] = [];
    const unsubscribe = hub.subscribe("t", ({ type, data }) => heard.push([type, data]));
    await unsubscribe.ready;
    const id = await hub.publish("t", { data: 1 });
    await client.until(({ data }) => data.length === 1);
    feed?.onEpoch([{ epoch: 1000, first: 2 }], 1);
    await client.until(({ gaps }) => gaps.length === 1);
    const gap = { reason: "epoch", after: id, next: "rs-1" };
    expect(client.gaps).toEqual([gap]);
    expect(client.lastEventId).toBe("rs-1");
    expect(heard).toEqual([
      ["message", 1],
      ["sse:gap", gap],
    ]);
    await hub.publish("t", { data: 2 });
    await client.until(({ data }) => data.length === 2);
    expect(client.lastEventId).toBe("rs-2");
  });
});

describe("a log that loses its data while it is being read", () => {
  it("what was read before is not handed out after", async () => {
    const near = memoryLog();
    const writer = hubOf({ log: near });
    const [first] = await writer.publish("t", numbered(10));
    let feed: LogFeed | undefined;
    let reads = 0;
    const onCall = (call: string, moment: string) => {
      if (call === "read" && moment === "after" && ++reads === 1) {
        feed?.onEpoch([{ epoch: 1000, first: 11 }], 10);
      }
    };
    const far = remoteLog(near, { onCall });
    const hub = hubOf({
      log: {
        async open(given) {
          feed = given;
          return far.open(given);
        },
      },
    });
    const client = await connect(hub, { topics: "t", lastEventId: first });
    await client.until(({ gaps }) => gaps.length === 1);
    await writer.publish("t", { data: "new" });
    await client.until(({ data }) => data.length > 0);
    expect(client.gaps).toEqual([{ reason: "epoch", after: first, next: "rs-a" }]);
    expect(client.data).toEqual(['"new"']);
  });
});

describe("deleted", () => {
  it("readers of the topic get a gap, live ones and those who return, and then what is new", async () => {
    const hub = hubOf();
    const ids = await hub.publish("t", numbered(5));
    const live = await connect(hub, { topics: ["t", "u"] });
    const heard: unknown[] = [];
    await hub.subscribe("t", ({ type, data }) => heard.push(type === "sse:gap" ? type : data)).ready;
    await hub.delete("t");
    const returning = await connect(hub, { topics: "t", lastEventId: ids[1] });
    const start = await connect(hub, { topics: "t", from: "start" });
    await hub.publish("t", { data: "new" });
    for (const client of [live, returning, start]) await client.until(({ data }) => data.length === 1);
    expect(live.gaps).toEqual([expect.objectContaining({ topic: "t", reason: "deleted" })]);
    expect(returning.gaps).toEqual([
      expect.objectContaining({ topic: "t", reason: "deleted", after: ids[1] }),
    ]);
    expect(start.gaps).toEqual([]);
    expect(heard).toEqual(["sse:gap", "new"]);
    expect(start.data).toEqual(['"new"']);
  });

  it("hands out nothing that was erased, not even from pages that others have read", async () => {
    const hub = hubOf();
    const text = "x".repeat(20_000);
    const id = await hub.publish("t", { data: "first" });
    for (let index = 0; index < 10; index++) await hub.publish("t", { data: { index, text } });
    const slow = await openClient(hub, { topics: "t", lastEventId: id });
    slow.sink.stalled = true;
    slow.attach();
    const quick = await connect(hub, { topics: "t", lastEventId: id });
    await quick.until(({ data }) => data.length === 10);
    await until(() => slow.sink.full);
    await hub.delete("t");
    await hub.publish("t", { data: "new" });
    slow.sink.stalled = false;
    slow.sink.drain();
    await slow.until(({ data }) => data.at(-1) === '"new"');
    // What was on its way to it arrives, but nothing more.
    expect(slow.data.length).toBeLessThan(5);
    expect(slow.gaps).toEqual([expect.objectContaining({ topic: "t", reason: "deleted" })]);
  });
});

describe("deleted, while memory still holds what was erased", () => {
  const both = ["a", "b"];

  /** A hub whose memory holds events of `a`, for a client that takes nothing. */
  async function hubWithEvents(log: EventLog): Promise<{ hub: Hub; after: string; stalled: TestClient }> {
    const hub = hubOf({ log });
    const after = await hub.publish("b", { data: "b0" });
    const stalled = await openClient(hub, { topics: both });
    stalled.sink.stalled = true;
    stalled.attach();
    await until(() => stalled.sink.full);
    await hub.publish("a", numbered(3));
    return { hub, after, stalled };
  }

  const seenBy = async (hub: Hub, options: SubscribeOptions): Promise<unknown[]> => {
    const seen: unknown[] = [];
    await hub.subscribe(both, ({ type, data }) => seen.push(type === "sse:gap" ? type : data), options).ready;
    return seen;
  };

  it.each([
    ["where the feed has told of it", false],
    ["where the log says so before the feed does", true],
  ])("nobody who comes later gets it, and who is told is told once: %s", async (_, isHeld) => {
    const { log, hold, release } = withFeedHeld(memoryLog());
    const { hub, after } = await hubWithEvents(log);
    if (isHeld) hold();
    await hub.delete("a");
    const client = await connect(hub, { topics: both, lastEventId: after });
    const [back, first] = [await seenBy(hub, { after }), await seenBy(hub, { from: "start" })];
    const looped: unknown[] = [];
    const looping = (async () => {
      for await (const { type, data } of hub.events(both, { after })) {
        looped.push(type === "sse:gap" ? type : data);
        if (data === "b1") break;
      }
    })();
    await new Promise((resolve) => setImmediate(resolve));
    release();
    const id = await hub.publish("b", { data: "b1" });
    await client.until(({ data }) => data.at(-1) === '"b1"');
    await looping;
    await until(() => back.includes("b1") && first.includes("b1"));
    expect(client.data).toEqual(['"b1"']);
    expect(client.gaps).toEqual([expect.objectContaining({ topic: "a", reason: "deleted", after })]);
    expect(client.lastEventId).toBe(id);
    expect([back, looped, first]).toEqual([
      ["sse:gap", "b1"],
      ["sse:gap", "b1"],
      ["b0", "b1"],
    ]);
  });

  it("who had not got to it yet is told of all that it misses, and loses nothing of another topic", async () => {
    const { hub, after, stalled } = await hubWithEvents(memoryLog());
    await hub.publish("b", { data: "b1" });
    await hub.delete("a");
    await hub.publish("a", { data: "anew" });
    stalled.sink.stalled = false;
    stalled.sink.drain();
    await stalled.until(({ data }) => data.length === 2);
    expect(stalled.data).toEqual(['"b1"', '"anew"']);
    expect(stalled.gaps).toEqual([{ topic: "a", reason: "deleted", after, next: stalled.lastEventId }]);
  });

  it("who hears of both at once hears of the erasure alone", async () => {
    const { log, hold, release } = withFeedHeld(memoryLog());
    const hub = hubOf({ log });
    const after = await hub.publish("b", { data: "b0" });
    const client = await connect(hub, { topics: both });
    const seen = await seenBy(hub, {});
    hold();
    await hub.publish("a", numbered(3));
    await hub.publish("b", { data: "b1" });
    await hub.delete("a");
    release();
    await client.until(({ data, gaps }) => data.length === 1 && gaps.length === 1);
    await until(() => seen.length === 2);
    expect(client.gaps).toEqual([expect.objectContaining({ topic: "a", reason: "deleted", after })]);
    expect([client.data, seen]).toEqual([['"b1"'], ["sse:gap", "b1"]]);
  });

  it("a page that was read before, and comes after, is not handed out, nor kept for others", async () => {
    const page = new Barrier();
    let pages = 0;
    const onCall = async (call: string, moment: string): Promise<void> => {
      if (call === "read" && moment === "after" && ++pages === 1) await page.pass();
    };
    const hub = hubOf({ log: remoteLog(memoryLog(), { onCall }) });
    const after = await hub.publish("b", { data: "b0" });
    await hub.publish("a", numbered(3));
    await hub.publish("b", { data: "b1" });
    const early = await seenBy(hub, { after });
    await page.reached;
    await hub.delete("a");
    await hub.publish("b", { data: "b2" });
    const second = await seenBy(hub, { after });
    page.open();
    await until(() => early.includes("b2"));
    const third = await seenBy(hub, { after });
    await until(() => second.includes("b2") && third.includes("b2"));
    const expected = ["sse:gap", "b1", "b2"];
    expect([early, second, third]).toEqual([expected, expected, expected]);
  });
});

function withEpochs(log: EventLog, epochs: readonly Epoch[]): EventLog {
  return {
    async open(feed) {
      const connection = await log.open(feed);
      return {
        epochs,
        head: connection.head,
        append: (request) => connection.append(request),
        read: (query) => connection.read(query),
        follow: (topic) => connection.follow(topic),
        unfollow: (topic) => connection.unfollow(topic),
        expire: (now) => connection.expire(now),
        close: () => connection.close(),
      };
    },
  };
}
