// What a hub makes of a log whose data changes hands while it is in use: a broker that was restarted, restored, or failed over.
import {
  type AppendResult,
  createHub,
  type Delivery,
  type Epoch,
  type EventLog,
  type Hub,
  type HubEvent,
  type LogConnection,
  type LogFeed,
  memoryLog,
} from "everstream";
import { afterEach, describe, expect, it } from "vitest";
import { randomFrom, seed } from "../resume/seed.ts";
import { until } from "../session/eventually.ts";
import { connect, numbered, numbers, openClient, type TestClient } from "./client.ts";
import { Barrier, HandLog } from "./hand-log.ts";

const hubs: Hub[] = [];
afterEach(() => Promise.all(hubs.splice(0).map((hub) => hub.close())));

const OLD = { epoch: 10, first: 1 };

/** A log in whose place another one can be put. */
class Broker {
  /** Called before `open` answers. */
  onOpen: (feed: LogFeed) => void = () => undefined;
  /** Whether deliveries get lost. */
  losing = false;
  /** How many appends may be answered yet. */
  answers = Number.POSITIVE_INFINITY;
  #store = memoryLog();
  #epochs: readonly Epoch[] = [OLD];
  #switches = new Set<(head: number) => Promise<void>>();
  #held: (() => void)[] = [];

  get log(): EventLog {
    return { open: (feed) => this.#open(feed) };
  }

  /** Puts a copy in the log's place that holds what stood through `head`, and tells everybody. */
  async failOver(topics: readonly string[], head: number): Promise<void> {
    const writer = await this.#store.open({ onEntries: () => undefined, onEpoch: () => undefined });
    const { entries } = await writer.read({ topics, after: 0, maxEntries: 1e6, maxBytes: 1e9 });
    this.#store = memoryLog();
    const copy = await this.#store.open({ onEntries: () => undefined, onEpoch: () => undefined });
    for (const { topic, event, sequence } of entries) {
      if (sequence <= head) await copy.append({ ...REQUEST, topic, events: [event] });
    }
    this.#epochs = [...this.#epochs, { epoch: 10 + this.#epochs.length, first: head + 1 }];
    for (const change of this.#switches) await change(head);
  }

  release(): void {
    this.answers = Number.POSITIVE_INFINITY;
    for (const answer of this.#held.splice(0)) answer();
  }

  async #open(feed: LogFeed): Promise<LogConnection> {
    let epochs = this.#epochs;
    const epochOf = (sequence: number): number =>
      epochs.findLast(({ first }) => first <= sequence)?.epoch ?? OLD.epoch;
    const onEntries = (delivery: Delivery): void => {
      if (!this.losing) feed.onEntries(delivery);
    };
    let inner = await this.#store.open({ ...feed, onEntries });
    const { head } = inner;
    this.#switches.add(async (newHead) => {
      await inner.close();
      inner = await this.#store.open({
        onEntries,
        onEpoch: () => undefined,
      });
      await new Promise((resolve) => setImmediate(resolve));
      epochs = this.#epochs;
      feed.onEpoch(epochs, newHead);
    });
    this.onOpen(feed);
    return {
      epochs: [OLD],
      head,
      append: async (request): Promise<AppendResult> => {
        const result = await inner.append(request);
        const epoch = result.accepted ? epochOf(result.sequences[0] ?? 1) : 0;
        if (--this.answers < 0) await new Promise<void>((resolve) => this.#held.push(resolve));
        return result.accepted ? { ...result, epoch } : result;
      },
      read: (query) => inner.read(query),
      follow: async (topic) => inner.follow(topic),
      unfollow: (topic) => inner.unfollow(topic),
      expire: (now) => inner.expire(now),
      close: () => inner.close(),
    };
  }
}

const REQUEST = {
  mark: undefined,
  expectLast: undefined,
  publishId: undefined,
  publishIdWindowMs: 1000,
  retention: { maxEvents: 1e9, maxBytes: 1e12, maxAgeMs: Number.POSITIVE_INFINITY },
  now: Date.now(),
};

/** What a {@link HandLog} stores once a copy has taken its place. */
function marked(list: string): string[] {
  return list.split(" ").map((data) => `${data}'`);
}

/** A position of a {@link HandLog}'s first epoch. */
function positionOf(sequence: number): string {
  return `1-${sequence.toString(36)}`;
}

function hubOn(broker: { readonly log: EventLog }): Hub {
  const hub = createHub({ log: broker.log });
  hubs.push(hub);
  return hub;
}

describe("a log whose data changes hands", () => {
  it("who had come no further than what was kept is told of no gap, and misses nothing", async () => {
    const broker = new Broker();
    const hub = hubOn(broker);
    const client = await connect(hub, { topics: ["t", "u"] });
    const heard: unknown[] = [];
    await hub.subscribe("t", ({ data }) => heard.push(data)).ready;
    await hub.publish("t", numbered(5));
    await client.until(({ data }) => data.length === 5);
    await broker.failOver(["t"], 5);
    const id = await hub.publish("t", { data: 5 });
    await client.until(({ data }) => data.length === 6);
    expect(client.data).toEqual(numbers(6));
    expect(client.gaps).toEqual([]);
    expect(client.lastEventId).toBe(id);
    expect(id).toBe("b-6");
    await until(() => heard.length === 6);
    expect(heard).toEqual([0, 1, 2, 3, 4, 5]);
  });

  it("what was stored and not delivered any more is read from the log", async () => {
    const broker = new Broker();
    const hub = hubOn(broker);
    const client = await connect(hub, { topics: "t" });
    await hub.publish("t", numbered(2));
    await client.until(({ data }) => data.length === 2);
    broker.losing = true;
    await hub.publish("t", numbered(3, 2));
    broker.losing = false;
    await broker.failOver(["t"], 5);
    await hub.publish("t", { data: 5 });
    await client.until(({ data }) => data.length >= 6);
    expect(client.data).toEqual(numbers(6));
    expect(client.gaps).toEqual([]);
  });

  it("who had seen what is lost is told so, and gets what comes in its place", async () => {
    const broker = new Broker();
    const hub = hubOn(broker);
    const client = await connect(hub, { topics: "t" });
    const ids = await hub.publish("t", numbered(5));
    await client.until(({ data }) => data.length === 5);
    await broker.failOver(["t"], 3);
    await hub.publish("t", { data: "new" });
    await client.until(({ data }) => data.length === 6);
    expect(client.gaps).toEqual([{ reason: "epoch", after: ids[4], next: "a-3" }]);
    expect(client.data.at(-1)).toBe('"new"');
    const back = await connect(hub, { topics: "t", lastEventId: ids[4] });
    expect(back.gaps).toMatchObject([{ reason: "epoch", after: ids[4] }]);
    const kept = await connect(hub, { topics: "t", lastEventId: ids[1] });
    await kept.until(({ data }) => data.length === 2);
    expect(kept.gaps).toEqual([]);
    expect(kept.data).toEqual(["2", '"new"']);
  });

  it("an id is of the epoch that stored the event, whatever has begun until its publisher hears of it", async () => {
    const broker = new Broker();
    const hub = hubOn(broker);
    await hub.publish("t", numbered(2));
    broker.answers = 0;
    const late = hub.publish("t", { data: 2 });
    await new Promise((resolve) => setImmediate(resolve));
    await broker.failOver(["t"], 2);
    broker.release();
    expect(await late).toBe("a-3");
    expect(await hub.publish("t", { data: "new" })).toBe("b-3");
    await expect(hub.publish("t", { data: 3 }, { expectLast: await late })).rejects.toMatchObject({
      code: "CONFLICT",
    });
  });

  it("readers that come afterwards begin where the new epoch does", async () => {
    const broker = new Broker();
    const hub = hubOn(broker);
    await connect(hub, { topics: "t" });
    await hub.publish("t", numbered(50));
    await broker.failOver(["t"], 3);
    // Another set of topics, one of which was followed before.
    const client = await connect(hub, { topics: ["t", "u"] });
    await hub.publish("t", { data: "new" });
    await client.until(({ data }) => data.length === 1);
    expect(client.lastEventId).toBe("b-4");
  });

  it("an epoch that begins before the log is open is not forgotten", async () => {
    const broker = new Broker();
    broker.onOpen = (feed) => feed.onEpoch([OLD, { epoch: 99, first: 1 }], 0);
    const hub = hubOn(broker);
    const client = await connect(hub, { topics: "t" });
    await hub.publish("t", { data: 1 });
    await client.until(({ data }) => data.length === 1);
    expect(client.lastEventId).toBe("2r-1");
  });

  it("what a reader is not shown ends where the copy does: of what is written then it gets everything", async () => {
    const log = new HandLog();
    for (let pair = 0; pair < 50; pair++) for (const topic of ["a", "b"]) log.add(topic);
    const hub = hubOn(log);
    const page = new Barrier();
    log.onRead = ({ maxEntries }) => (maxEntries > 0 ? page.pass() : Promise.resolve());
    const client = await connect(hub, {
      topics: [{ topic: "a", notBefore: "1-2s" }, "b"],
      lastEventId: "1-14",
    });
    await page.reached;
    log.failOver(2, 50);
    for (let pair = 0; pair < 3; pair++) for (const topic of ["a", "b"]) log.add(topic);
    log.tell(50);
    page.open();
    await client.until(({ data }) => data.at(-1) === "b56'");
    expect(client.data).toEqual(["b42", "b44", "b46", "b48", "b50", ...marked("a51 b52 a53 b54 a55 b56")]);
    expect(client.gaps).toEqual([]);
  });

  it(`readers anywhere, with floors or without, get what is kept and what is new, or are told (seed ${seed})`, async () => {
    const random = randomFrom(seed);
    const below = (limit: number): number => Math.floor(random() * limit);
    for (let round = 0; round < 40; round++) {
      const log = new HandLog();
      for (let count = 0; count < 60; count++) log.add(random() < 0.5 ? "a" : "b");
      const old = log.entries;
      log.maxEntries = 1 + below(8);
      const hub = hubOn(log);
      const readers: { client: TestClient; after: number; floor: number }[] = [];
      for (let count = 0; count < 5; count++) {
        const [after, floor] = [1 + below(50), below(60)];
        const notBefore = floor === 0 ? undefined : positionOf(floor);
        const topics = [{ topic: "a", notBefore }, "b"];
        const client = await connect(hub, { topics, lastEventId: positionOf(after) });
        readers.push({ client, after, floor });
      }
      for (let turns = below(20); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
      const kept = 20 + below(41);
      log.failOver(2, kept);
      for (let count = 0; count < 20; count++) log.add(random() < 0.5 ? "a" : "b");
      const written = log.entries.slice(-20).map(({ event }) => event.data);
      log.tell(kept);
      for (const { client, after, floor } of readers) {
        await client.until(({ data }) => data.at(-1) === written.at(-1));
        const before = old.filter(
          ({ topic, sequence }) => sequence > after && !(topic === "a" && sequence <= floor),
        );
        const stays = before.filter(({ sequence }) => sequence <= kept);
        const count = client.data.length - written.length;
        expect(client.data).toEqual([...before.slice(0, count).map(({ event }) => event.data), ...written]);
        // Who had come further than what is kept has seen what is gone, and is told so.
        if (client.gaps.length === 0) expect(count).toBe(stays.length);
        else
          expect(client.gaps).toEqual([expect.objectContaining({ reason: "epoch", next: positionOf(kept) })]);
      }
    }
  });

  describe("what a listener does while others are still to be told", () => {
    /** A log of ten events of `y`, of which a copy keeps five, and whose readers of `x` are told of that first. */
    async function beforeFailOver(onGap: () => void): Promise<{ log: HandLog; hub: Hub }> {
      const log = new HandLog();
      log.add("y", 10);
      const hub = hubOn(log);
      await hub.subscribe("x", ({ type }) => (type === "sse:gap" ? onGap() : undefined)).ready;
      return { log, hub };
    }

    const noting =
      (into: unknown[]) =>
      ({ type, data }: HubEvent): void => {
        into.push(type === "sse:gap" ? type : data);
      };

    it("who leaves does not leave its position to another reader", async () => {
      let leaving: TestClient | undefined;
      const { log, hub } = await beforeFailOver(() => leaving?.leave());
      leaving = await openClient(hub, { topics: "y", lastEventId: positionOf(3) });
      leaving.sink.stalled = true;
      leaving.attach();
      const [second, third]: [unknown[], unknown[]] = [[], []];
      for (const heard of [second, third]) await hub.subscribe("y", noting(heard)).ready;
      log.failOver(2, 5);
      log.add("y");
      log.tell(5);
      await until(() => second.length > 1 && third.length > 1);
      expect([second, third]).toEqual([
        ["sse:gap", "y6'"],
        ["sse:gap", "y6'"],
      ]);
    });

    it("who begins to read is told of nothing that was before it", async () => {
      const [now, after]: [unknown[], unknown[]] = [[], []];
      let begun: Promise<unknown> | undefined;
      const { log, hub } = await beforeFailOver(() => {
        begun = Promise.all([
          hub.subscribe("y", noting(now)).ready,
          hub.subscribe("y", noting(after), { after: positionOf(4) }).ready,
        ]);
      });
      await hub.subscribe("y", () => undefined).ready;
      log.failOver(2, 5);
      await begun;
      log.add("y");
      log.tell(5);
      await until(() => now.length > 0 && after.length > 1);
      expect([now, after]).toEqual([["y6'"], ["y5", "y6'"]]);
    });

    it("who closes the hub sends nobody away who has not been told", async () => {
      let closed: Promise<void> | undefined;
      const { log, hub } = await beforeFailOver(() => {
        closed = hub.close();
      });
      const client = await connect(hub, { topics: "y", lastEventId: positionOf(10) });
      log.failOver(2, 5);
      await closed;
      await client.until(({ sink }) => sink.ended);
      expect(client.gaps).toEqual([{ reason: "epoch", after: positionOf(10), next: positionOf(5) }]);
      expect(client.lastEventId).toBe(positionOf(5));
    });
  });

  it("what was closed to a reader of a part that the copy has stays so, where a later part is gone", async () => {
    const log = new HandLog();
    log.epochs = [
      { epoch: 1, first: 1 },
      { epoch: 2, first: 31 },
    ];
    log.add("a", 40);
    const hub = hubOn(log);
    const page = new Barrier();
    log.onRead = ({ maxEntries }) => (maxEntries > 0 ? page.pass() : Promise.resolve());
    const client = await connect(hub, {
      topics: [{ topic: "a", notBefore: "1-k" }, "b"],
      lastEventId: "1-a",
    });
    await page.reached;
    log.epochs = log.epochs.slice(0, 1);
    log.failOver(3, 25);
    page.open();
    await client.until(({ data }) => data.at(-1) === "a25");
    expect(client.data).toEqual(["a21", "a22", "a23", "a24", "a25"]);
  });

  it("a topic's end that came with the copy ends its readers", async () => {
    const broker = new Broker();
    const hub = hubOn(broker);
    const client = await connect(hub, { topics: "t" });
    await hub.publish("t", { data: 1 });
    await client.until(({ data }) => data.length === 1);
    const other = await broker.log.open({ onEntries: () => undefined, onEpoch: () => undefined });
    await broker.failOver(["t"], 1);
    await other.append({ ...REQUEST, topic: "t", events: [], mark: "finish" });
    await until(() => client.sink.ended);
    expect(client.gaps).toEqual([]);
  });
});
