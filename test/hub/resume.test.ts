import { createHub, type Hub, memoryLog } from "everstream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../session/eventually.ts";
import { connect, numbered, numbers, openClient, type TestClient } from "./client.ts";
import { Barrier, HandLog } from "./hand-log.ts";
import { remoteLog } from "./remote-log.ts";

let hub: Hub;
beforeEach(() => {
  hub = createHub({ retention: { maxEvents: 100_000, maxBytes: 1e9 } });
});
afterEach(() => hub.close());

async function publishAll(count: number, topics: readonly string[], from = 0): Promise<void> {
  for (let index = from; index < from + count; index++) {
    await hub.publish(topics[index % topics.length] as string, { data: index });
  }
}

describe("a client that returns", () => {
  it("gets exactly what it missed, over many pages of the log, then what is live", async () => {
    const text = "x".repeat(500);
    const ids: string[] = [];
    for (let index = 0; index < 2000; index++) {
      ids.push(await hub.publish("t", { data: { index, text } }));
    }
    const client = await connect(hub, { topics: "t", lastEventId: ids[17] });
    await hub.publish("t", { data: { index: 2000, text } });
    await client.until(({ data }) => data.length === 1983);
    expect(client.data.map((data) => JSON.parse(data).index)).toEqual(
      Array.from({ length: 1983 }, (_, index) => index + 18),
    );
    expect(client.gaps).toEqual([]);
  });

  it("sees several topics in the one order in which they were published, and no others", async () => {
    await publishAll(300, ["a", "b", "c"]);
    const client = await connect(hub, { topics: ["c", "a"], from: "start" });
    await publishAll(300, ["a", "b", "c"], 300);
    await client.until(({ data }) => data.length === 400);
    expect(client.data).toEqual(numbers(600).filter((n) => Number(n) % 3 !== 1));
  });

  it("may come back with other topics: one id is a cursor for any of them", async () => {
    await publishAll(100, ["a", "b", "c"]);
    const client = await connect(hub, { topics: ["a", "b"], from: "start" });
    await client.until(({ data }) => data.length === 67);
    const { lastEventId } = client;
    client.leave();
    await publishAll(100, ["a", "b", "c"], 100);
    const again = await connect(hub, { topics: ["b", "c"], lastEventId });
    await again.until(({ data }) => data.length === 67);
    expect(again.data).toEqual(numbers(100, 100).filter((n) => Number(n) % 3 !== 0));
  });

  it("is replayed to no faster than it takes it, and goes on when it does", async () => {
    await publishAll(1, ["t"]);
    const id = await hub.position();
    for (let index = 0; index < 50; index++) await hub.publish("t", { text: "x".repeat(10_000) });
    const client = await connect(hub, { topics: "t" });
    client.leave();
    const slow = await connect(hub, { topics: "t", lastEventId: id });
    slow.sink.stalled = true;
    for (let rounds = 0; slow.data.length < 50; rounds++) {
      expect(rounds).toBeLessThan(100);
      await until(() => slow.sink.pending > 0);
      expect(slow.sink.pending).toBeLessThan(64 * 1024);
      slow.sink.drain();
    }
    expect(slow.data).toHaveLength(50);
  });

  it("many that come for the same stretch share one reading of the log", async () => {
    let reads = 0;
    const onCall = (call: string) => {
      if (call === "read") reads++;
    };
    const log = remoteLog(memoryLog(), { onCall });
    const far = createHub({ log });
    const [first] = await far.publish("t", numbered(500));
    const clients = await Promise.all(
      Array.from({ length: 100 }, () => connect(far, { topics: "t", lastEventId: first })),
    );
    const openings = reads;
    for (const client of clients) await client.until(({ data }) => data.length === 499);
    // Each read is counted at both of its ends; every opening has one of its own.
    expect(openings).toBeLessThanOrEqual(2 * 102);
    expect(reads - openings).toBeLessThan(20);
    await far.close();
  });
});

describe("dropped at random", () => {
  const seed = Number(process.env.EVERSTREAM_SEED ?? Math.floor(Math.random() * 2 ** 31));

  it(`clients that drop anywhere, in the middle of a frame too, see every event once (seed ${seed})`, async () => {
    const random = randomFrom(seed);
    const far = createHub({ log: remoteLog(memoryLog()), retention: { maxEvents: 1e6, maxBytes: 1e9 } });
    let published = 0;
    const publishing = (async () => {
      while (published < 3000) {
        const burst = 1 + Math.floor(random() * 5);
        await Promise.all(
          numbered(burst, published).map((event) => far.publish(`t${event.data % 3}`, event)),
        );
        published += burst;
        if (random() < 0.1) await new Promise((resolve) => setImmediate(resolve));
      }
      await far.publish("t0", { data: "end" });
    })();
    const readers = Array.from({ length: 20 }, (_, index) => readWithDrops(far, index % 2 === 0, random));
    const sequences = await Promise.all(readers);
    await publishing;
    for (const sequence of sequences) expect(sequence).toEqual([...numbers(published), '"end"']);
    await far.close();
  });

  /** Reads to the end over connections that are cut after a random number of bytes. */
  async function readWithDrops(far: Hub, all: boolean, random: () => number): Promise<string[]> {
    const topics = all ? ["t0", "t1", "t2"] : ["t2", "t1", "t0", "t3"];
    const seen: string[] = [];
    let lastEventId: string | undefined;
    while (seen.at(-1) !== '"end"') {
      const client = await openClient(far, { topics, from: "start", lastEventId });
      client.sink.cutAfter = 1 + Math.floor(random() * 3000);
      client.attach();
      await client.until(({ data, session }) => data.at(-1) === '"end"' || session.closed);
      expect(client.gaps).toEqual([]);
      seen.push(...client.data);
      lastEventId = client.lastEventId || lastEventId;
      client.leave();
    }
    return seen;
  }
});

describe("a feed with holes", () => {
  it("what was lost on one topic is not jumped by an event on another", async () => {
    const near = memoryLog();
    let lossy = false;
    const loses = ({ entries }: { entries: readonly { topic: string }[] }) =>
      lossy && entries[0]?.topic === "b";
    const far = createHub({ log: remoteLog(near, { loses }) });
    const client = await connect(far, { topics: ["a", "b"] });
    await far.publish("b", { data: "b1" });
    await client.until(({ data }) => data.length === 1);
    lossy = true;
    await far.publish("b", { data: "b2" });
    lossy = false;
    await far.publish("a", { data: "a3" });
    await client.until(({ data }) => data.length === 3);
    expect(client.data).toEqual(['"b1"', '"b2"', '"a3"']);
    await far.close();
  });

  it("a hole that ends before a topic was followed sends nobody to the ring who has to read the log", async () => {
    const log = new HandLog();
    log.add("t", 10);
    const far = createHub({ log: log.log });
    await far.position();
    // Nobody reads the topic here yet, and the feed has not come so far. A reader follows it from 20 on.
    log.add("t", 10);
    log.maxEntries = 4;
    const page = new Barrier();
    let pages = 0;
    log.onRead = async ({ maxEntries }) => {
      if (maxEntries > 0 && ++pages === 2) await page.pass();
    };
    const got: unknown[] = [];
    far.subscribe("t", ({ data }) => got.push(data), { after: "1-c" });
    await page.reached;
    log.tell(15, 20);
    log.add("t");
    log.tell(20);
    page.open();
    await until(() => got.length >= 9);
    expect(got).toEqual(Array.from({ length: 9 }, (_, index) => `t${index + 13}`));
    await far.close();
  });

  const seed = Number(process.env.EVERSTREAM_SEED ?? Math.floor(Math.random() * 2 ** 31));

  it(`losing deliveries at random loses and doubles no event (seed ${seed})`, async () => {
    const random = randomFrom(seed);
    const far = createHub({ log: remoteLog(memoryLog(), { loses: () => random() < 0.2 }) });
    const topics = ["a", "b", "c"];
    const clients: TestClient[] = [];
    const heard: string[] = [];
    await far.subscribe(topics, ({ data }) => heard.push(String(data))).ready;
    for (let index = 0; index < 500; index++) {
      if (index % 50 === 0) clients.push(await connect(far, { topics, from: "start" }));
      await far.publish(topics[Math.floor(random() * 3)] as string, { data: index });
    }
    // Until a delivery gets through, nobody can know of what was lost before it.
    const allHave = () => clients.every(({ data }) => data.length >= 500) && heard.length >= 500;
    for (let index = 500; !allHave(); index++) {
      await far.publish("a", { data: index });
      await new Promise((resolve) => setImmediate(resolve));
    }
    for (const { data, gaps } of clients) {
      expect(data.slice(0, 500)).toEqual(numbers(500));
      expect(gaps).toEqual([]);
    }
    expect(heard.slice(0, 500)).toEqual(numbers(500));
    await far.close();
  });
});

/** A small generator with a seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
