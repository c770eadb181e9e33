import { createHub, type Hub, memoryLog } from "everstream";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { pulseSize } from "../../src/session/pulse.ts";
import { connect, numbered, numbers, openClient, type TestClient } from "./client.ts";
import { remoteLog } from "./remote-log.ts";

let hub: Hub;
beforeEach(() => {
  hub = createHub({ retention: { maxEvents: 100_000, maxBytes: 1e9 } });
});
afterEach(() => hub.close());

const turn = () => new Promise((resolve) => setImmediate(resolve));

async function connectAll(
  count: number,
  topics: (index: number) => string | string[],
): Promise<TestClient[]> {
  return Promise.all(Array.from({ length: count }, (_, index) => connect(hub, { topics: topics(index) })));
}

describe("many readers", () => {
  it("1,000 sessions of one topic get 100 events each, in order and once", async () => {
    const clients = await connectAll(1000, () => "t");
    for (let index = 0; index < 100; index++) await hub.publish("t", { data: index });
    for (const client of clients) {
      await client.until(({ data }) => data.length >= 100);
      expect(client.data).toEqual(numbers(100));
    }
    expect(hub.stats()).toMatchObject({ sessions: 1000, published: 100, delivered: 100_000 });
  });

  it("1,000 sessions, each on a topic of its own and a common one, see both in the hub's order", async () => {
    const clients = await connectAll(1000, (index) => [`own${index}`, "common"]);
    for (let index = 0; index < 20; index++) {
      await hub.publish("common", { data: `c${index}` });
      await Promise.all(
        clients.map((_, client) => hub.publish(`own${client}`, { data: `${client}:${index}` })),
      );
    }
    for (const [index, client] of clients.entries()) {
      await client.until(({ data }) => data.length >= 40);
      const expected = Array.from({ length: 20 }, (_, n) => [`"c${n}"`, `"${index}:${n}"`]).flat();
      expect(client.data).toEqual(expected);
    }
  });

  it("sessions on overlapping pairs of topics see what is theirs, in one order", async () => {
    const clients = await connectAll(300, (index) => [`t${index % 10}`, `t${(index * 7 + 3) % 10}`]);
    for (let index = 0; index < 1000; index++) await hub.publish(`t${index % 10}`, { data: index });
    for (const [index, client] of clients.entries()) {
      const mine = new Set([index % 10, (index * 7 + 3) % 10]);
      const expected = numbers(1000).filter((n) => mine.has(Number(n) % 10));
      await client.until(({ data }) => data.length >= expected.length);
      expect(client.data).toEqual(expected);
    }
  });

  it("who joins and leaves while events flow gets a stretch without holes", async () => {
    const clients: TestClient[] = [];
    for (let index = 0; index < 2000; index++) {
      if (index % 5 === 0) clients.push(await connect(hub, { topics: "t" }));
      if (index % 7 === 0) clients[Math.floor((index * 31) % clients.length)]?.leave();
      await hub.publish("t", { data: index });
    }
    await turn();
    for (const client of clients) {
      if (!client.session.closed) await client.until(({ data }) => data.at(-1) === "1999");
      const first = Number(client.data[0] ?? 0);
      expect(client.data).toEqual(numbers(client.data.length, first));
    }
  });
});

describe("slow readers", () => {
  it("one that is passed by what waits in memory is read for from the log, and misses nothing", async () => {
    let reads = 0;
    const onCall = (call: string) => {
      if (call === "read") reads++;
    };
    const far = createHub({
      log: remoteLog(memoryLog(), { onCall }),
      retention: { maxEvents: 100_000, maxBytes: 1e9 },
    });
    const slow = await connect(far, { topics: "t" });
    const quick = await connect(far, { topics: "t" });
    await slow.until(({ checkpoints }) => checkpoints.length === 1);
    slow.sink.stalled = true;
    const text = "x".repeat(1000);
    await Promise.all(
      Array.from({ length: 3000 }, (_, index) => far.publish("t", { data: { index, text } })),
    );
    await quick.until(({ data }) => data.length === 3000);
    // Three megabytes went by, and next to none of them wait for the slow one.
    expect(slow.sink.pending).toBeLessThan(64 * 1024);
    reads = 0;
    slow.sink.stalled = false;
    slow.sink.drain();
    await slow.until(({ data }) => data.length === 3000);
    expect(slow.data).toEqual(quick.data);
    expect(slow.gaps).toEqual([]);
    expect(reads).toBeGreaterThan(50);
    await far.close();
  });

  it("one that is only a little behind is served from memory", async () => {
    let reads = 0;
    const onCall = (call: string) => {
      if (call === "read") reads++;
    };
    const far = createHub({ log: remoteLog(memoryLog(), { onCall }) });
    const slow = await connect(far, { topics: "t" });
    const quick = await connect(far, { topics: "t" });
    for (const client of [slow, quick]) await client.until(({ checkpoints }) => checkpoints.length === 1);
    await far.publish("t", { data: 0 });
    for (const client of [slow, quick]) await client.until(({ data }) => data.length === 1);
    reads = 0;
    slow.sink.stalled = true;
    for (let index = 1; index < 100; index++) await far.publish("t", { data: index });
    await quick.until(({ data }) => data.length === 100);
    slow.sink.stalled = false;
    slow.sink.drain();
    await slow.until(({ data }) => data.length === 100);
    expect(slow.data).toEqual(numbers(100));
    expect(reads).toBe(0);
    await far.close();
  });

  it("one that takes a little at a time sees everything once, while events flow", async () => {
    const clients = await connectAll(5, () => "t");
    for (const client of clients) client.sink.stalled = true;
    for (let index = 0; index < 5000; index++) {
      await hub.publish("t", { data: index });
      if (index % 50 === 0) clients[(index / 50) % 5]?.sink.drain();
    }
    for (const client of clients) {
      while (client.data.length < 5000) {
        client.sink.drain();
        await turn();
      }
      expect(client.data).toEqual(numbers(5000));
    }
  });

  it("a stalled one costs neither the publisher nor the others anything", async () => {
    const [stalled, other] = (await connectAll(2, () => "t")) as [TestClient, TestClient];
    await stalled.until(({ checkpoints }) => checkpoints.length === 1);
    stalled.sink.stalled = true;
    await hub.publish("t", { data: 0 });
    expect(stalled.sink.full).toBe(true);
    let held = 0;
    for (let index = 1; index <= 1000; index++) {
      const immediate = setImmediate(() => held++);
      await hub.publish("t", { data: index });
      clearImmediate(immediate);
      await other.until(({ data }) => data.length === index + 1);
      await turn();
    }
    // Only where the machine paused for a millisecond is the event loop let go round first.
    expect(held).toBeLessThan(500);
    expect(stalled.sink.writes).toBeLessThan(5);
  });

  it("one event that is larger than what may wait arrives all the same", async () => {
    const small = createHub({ limits: { maxWaitingBytes: 100 } });
    const client = await connect(small, { topics: "t" });
    const text = "x".repeat(500_000);
    await small.publish("t", [{ text: "before" }, { text }, { text: "after" }]);
    await client.until(({ data }) => data.length === 3);
    expect(client.data).toEqual(["before", text, "after"]);
    await small.close();
  });

  it("a log that can't be read for a moment is tried again, and nothing is lost", async () => {
    const reported = vi.spyOn(console, "error").mockImplementation(() => undefined);
    let failures = 2;
    const log = remoteLog(memoryLog(), {
      onCall(call, moment) {
        if (call === "read" && moment === "before" && failures > 0 && failures-- > 0) throw new Error("away");
      },
    });
    const far = createHub({ log });
    const [first] = await far.publish("t", numbered(10));
    failures = 0;
    const client = await connect(far, { topics: "t", lastEventId: first });
    failures = 1;
    await client.until(({ data }) => data.length === 9);
    expect(client.data).toEqual(numbers(9, 1));
    expect(failures).toBe(0);
    expect(reported).toHaveBeenCalledOnce();
    reported.mockRestore();
    await far.close();
  });
});

describe("a transport that throws", () => {
  it.each([
    ["live", false],
    ["with a page of the past", true],
  ])("ends its own session, and all others go on: %s", async (_, inPast) => {
    const reported = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const first = await hub.publish("t", { data: 0 });
    await hub.publish("t", { data: 1 });
    const clients = await connectAll(3, () => ["t"]);
    const broken = await openClient(hub, { topics: "t", ...(inPast && { lastEventId: first }) });
    broken.sink.writeShared = () => {
      throw new Error("not mine to throw");
    };
    broken.attach();
    clients.push(...(await connectAll(3, () => ["t"])));
    for (const index of [2, 3]) await hub.publish("t", { data: index });
    for (const client of clients) await client.until(({ data }) => data.length === 2);
    await broken.until(({ session }) => session.closed);
    expect(broken.session.closeReason).toBe("write-failed");
    expect(hub.stats()).toMatchObject({ sessions: 6, closed: { "write-failed": 1 } });
    expect(reported).toHaveBeenCalledOnce();
    reported.mockRestore();
  });
});

describe("leaving", () => {
  it("sessions that end leave no reader, topic, timer or listener behind", async () => {
    await hub.position();
    const before = pulseSize();
    const clients = await connectAll(500, (index) => [`own${index}`, "common"]);
    for (const [index, client] of clients.entries()) if (index % 2) client.leave();
    await hub.publish("common", { data: 1 });
    expect(hub.stats()).toMatchObject({ sessions: 250, topics: 251 });
    for (const client of clients) client.leave();
    expect(hub.stats()).toMatchObject({ sessions: 0, topics: 0 });
    expect(pulseSize()).toBe(before);
  });

  it("disconnect ends the sessions that fit, and counts them", async () => {
    const mine = await connect(hub, { topics: ["a", "b"], key: "me" });
    const other = await connect(hub, { topics: ["a"], key: "you" });
    expect(hub.disconnect({ topic: "c" })).toBe(0);
    expect(hub.disconnect({ topic: "b", key: "you" })).toBe(0);
    expect(hub.disconnect({ key: "me" })).toBe(1);
    expect(mine.session.closeReason).toBe("kicked");
    expect(
      hub.disconnect(
        ({ topics, key, openedAt }) => topics.length === 1 && key === "you" && openedAt > 0,
        "expired",
      ),
    ).toBe(1);
    expect(other.session.closeReason).toBe("expired");
    expect(hub.stats().closed).toEqual({ kicked: 1, expired: 1 });
  });
});
