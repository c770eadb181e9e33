// What every log promises, by the words of src/hub/log.ts. A log registers itself in a test file of a few lines.
import type {
  AppendRequest,
  Delivery,
  EventLog,
  LogConnection,
  LogEntry,
  Page,
  ReadQuery,
  StoredEvent,
} from "everstream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";

/** A log under test. */
export interface LogFixture {
  readonly log: EventLog;
  /** The log as a new process opens it once all connections of the old one are closed. */
  restart(): Promise<EventLog>;
  dispose(): Promise<void>;
}

const KEEP_ALL = { maxEvents: 1e9, maxBytes: 1e12, maxAgeMs: Number.POSITIVE_INFINITY };

/** One connection to a log, with what its feed has brought. */
export interface Node {
  readonly connection: LogConnection;
  readonly deliveries: Delivery[];
  readonly entries: LogEntry[];
  /** Takes what the feed brings in place of `deliveries` and `entries`, where it is too much to keep. */
  take: ((delivery: Delivery) => void) | undefined;
  /** Has the feed bring these topics' entries. */
  follow(...topics: string[]): Promise<void>;
  append(topic: string, texts: readonly string[], request?: Partial<AppendRequest>): Promise<number[]>;
  refused(topic: string, texts: readonly string[], request: Partial<AppendRequest>): Promise<string>;
  read(topics: readonly string[], query?: Partial<ReadQuery>): Promise<Page>;
  /** Resolves when the feed has brought everything through `sequence`. */
  fed(sequence: number): Promise<void>;
}

export async function openNode(log: EventLog): Promise<Node> {
  const deliveries: Delivery[] = [];
  const entries: LogEntry[] = [];
  let check: () => void = () => undefined;
  const connection = await log.open({
    onEntries(delivery) {
      if (node.take !== undefined) {
        node.take(delivery);
        return;
      }
      deliveries.push(delivery);
      entries.push(...delivery.entries);
      check();
    },
    onEpoch: () => expect.fail("the epoch changed"),
  });
  const append = (topic: string, texts: readonly string[], request: Partial<AppendRequest> = {}) =>
    connection.append({
      topic,
      events: texts.map((data) => stored(data, request.now)),
      mark: undefined,
      expectLast: undefined,
      publishId: undefined,
      publishIdWindowMs: 60_000,
      retention: KEEP_ALL,
      now: Date.now(),
      ...request,
    });
  const node: Node = {
    connection,
    deliveries,
    entries,
    take: undefined,
    async follow(...topics) {
      await Promise.all(topics.map((topic) => connection.follow(topic)));
    },
    async append(topic, texts, request) {
      const result = await append(topic, texts, request);
      if (!result.accepted) throw new Error(`refused: ${result.reason}`);
      return [...result.sequences];
    },
    async refused(topic, texts, request) {
      const result = await append(topic, texts, request);
      return result.accepted ? "accepted" : result.reason;
    },
    read: (topics, query) => connection.read({ topics, after: 0, maxEntries: 1e6, maxBytes: 1e9, ...query }),
    fed: (sequence) =>
      new Promise((resolve) => {
        check = () => {
          if ((deliveries.at(-1)?.through ?? connection.head) >= sequence) resolve();
        };
        check();
      }),
  };
  return node;
}

export function describeLog(name: string, create: () => Promise<LogFixture>): void {
  describe(`${name} keeps the log's contract`, () => {
    let fixture: LogFixture;
    let node: Node;
    beforeEach(async () => {
      fixture = await create();
      node = await openNode(fixture.log);
    });
    afterEach(async () => {
      await node.connection.close();
      await fixture.dispose();
    });

    describe("order", () => {
      it("sequences rise over all topics, and a batch's stand next to each other", async () => {
        await node.follow("a", "b");
        const [a] = await node.append("a", ["1"]);
        const batch = await node.append("b", ["2", "3", "4"]);
        const [c] = await node.append("a", ["5"]);
        const all = [a, ...batch, c] as number[];
        expect(all).toEqual([...all].sort((x, y) => x - y));
        expect(new Set(all).size).toBe(5);
        expect(all[0]).toBeGreaterThan(0);
        await node.fed(c as number);
        expect(dataOf(node.entries)).toEqual(["1", "2", "3", "4", "5"]);
        expect(node.deliveries.some(({ entries }) => dataOf(entries).join() === "2,3,4")).toBe(true);
      });

      it("the feed's deliveries follow one another without a hole, and say what they hold", async () => {
        await node.follow("a", "b");
        for (const topic of ["a", "b", "a"]) await node.append(topic, ["x", "y"]);
        const { head } = await node.read([]);
        await node.fed(head);
        let through = node.connection.head;
        for (const delivery of node.deliveries) {
          expect(delivery.after).toBe(through);
          for (const entry of delivery.entries) {
            expect(entry.sequence).toBeGreaterThan(delivery.after);
            expect(entry.sequence).toBeLessThanOrEqual(delivery.through);
          }
          through = delivery.through;
        }
        expect(through).toBe(head);
      });

      it("the feed is called one delivery after the other, also where it appends at once", async () => {
        const seen: string[] = [];
        let inside = false;
        let again = 3;
        const appends: Promise<unknown>[] = [];
        let finish: () => void = () => undefined;
        const finished = new Promise<void>((resolve) => {
          finish = resolve;
        });
        const connection = await fixture.log.open({
          onEntries({ entries }) {
            if (entries.length === 0) return;
            expect(inside).toBe(false);
            inside = true;
            seen.push(...dataOf(entries));
            if (again > 0) appends.push(node.append("t", [`again ${again--}`]));
            else finish();
            inside = false;
          },
          onEpoch: () => undefined,
        });
        await connection.follow("t");
        await node.append("t", ["first"]);
        await finished;
        await Promise.all(appends);
        await connection.close();
        expect(seen).toEqual(["first", "again 3", "again 2", "again 1"]);
      });

      it("several topics are read in their one order, and no others", async () => {
        for (let index = 0; index < 30; index++) await node.append(`t${index % 3}`, [String(index)]);
        const page = await node.read(["t0", "t2"]);
        const wanted = Array.from({ length: 30 }, (_, index) => String(index)).filter(
          (n) => Number(n) % 3 !== 1,
        );
        expect(dataOf(page.entries)).toEqual(wanted);
        expect(page.through).toBe(page.head);
      });

      it("two writers share one order, and both are fed it", async () => {
        const other = await openNode(fixture.log);
        await Promise.all([node.follow("t"), other.follow("t")]);
        const writes = Array.from({ length: 200 }, (_, index) =>
          (index % 2 ? node : other).append("t", [String(index), `${index}'`]),
        );
        const sequences = (await Promise.all(writes)).flat();
        expect(new Set(sequences).size).toBe(400);
        const { entries, head } = await node.read(["t"]);
        await Promise.all([node.fed(head), other.fed(head)]);
        expect(dataOf(node.entries)).toEqual(dataOf(entries));
        expect(dataOf(other.entries)).toEqual(dataOf(entries));
        // A batch stays whole, whoever writes beside it.
        for (let index = 0; index < 400; index += 2) {
          expect(entries[index + 1]?.event.data).toBe(`${entries[index]?.event.data}'`);
        }
        await other.connection.close();
      });

      it("keeps everything that was stored of an event", async () => {
        const event: StoredEvent = {
          type: "tick – ü",
          data: '{"a":"\\u0000\n😀"}',
          json: true,
          key: "k",
          meta: { trace: "1", "": "" },
          time: 1_700_000_000_123,
          version: 1,
        };
        await node.follow("topic – 😀");
        const [sequence] = await node.append("topic – 😀", [], {
          events: [event, { ...event, json: false }],
        });
        const { entries } = await node.read(["topic – 😀"]);
        expect(entries[0]).toMatchObject({ sequence, topic: "topic – 😀", kind: "event", event });
        expect(entries[1]?.event.json).toBe(false);
        await node.fed(entries[1]?.sequence as number);
        expect(node.entries[0]?.event).toEqual(event);
      });
    });

    describe("reading", () => {
      it("pages begin after the cursor, end at their limits, and lead to the head", async () => {
        await node.append("t", texts(100));
        const read: string[] = [];
        let page = await node.read(["t"], { maxEntries: 7 });
        for (
          ;
          page.entries.length > 0;
          page = await node.read(["t"], { maxEntries: 7, after: page.through })
        ) {
          expect(page.entries.length).toBeLessThanOrEqual(7);
          expect(page.through).toBe(page.entries.length < 7 ? page.head : page.entries.at(-1)?.sequence);
          read.push(...dataOf(page.entries));
        }
        expect(read).toEqual(texts(100));
        expect(page.through).toBe(page.head);
      });

      it("a limit in bytes ends a page, but never before its first entry", async () => {
        await node.append("t", ["x".repeat(1000), "y".repeat(1000), "z"]);
        const one = await node.read(["t"], { maxBytes: 1 });
        expect(dataOf(one.entries).map((data) => data[0])).toEqual(["x"]);
        const two = await node.read(["t"], { maxBytes: 1300 });
        expect(dataOf(two.entries).map((data) => data[0])).toEqual(["x", "y"]);
      });

      it("finds the place before the last so many events of several topics", async () => {
        for (let index = 0; index < 20; index++) await node.append(`t${index % 4}`, [String(index)]);
        const last = async (count: number, ...topics: string[]) => {
          const page = await node.read(topics, { after: { last: count }, maxEntries: 0 });
          expect(page.entries).toEqual([]);
          return dataOf((await node.read(topics, { after: page.after })).entries);
        };
        expect(await last(3, "t1", "t2")).toEqual(["14", "17", "18"]);
        expect(await last(0, "t1", "t2")).toEqual([]);
        expect(await last(100, "t3")).toEqual(["3", "7", "11", "15", "19"]);
        expect(await last(5, "unknown")).toEqual([]);
      });

      it("a cursor at or over the head reads nothing", async () => {
        const [sequence] = await node.append("t", ["x"]);
        const { head } = await node.read(["t"]);
        expect((await node.read(["t"], { after: sequence as number })).entries).toEqual([]);
        const over = await node.read(["t"], { after: head + 1000 });
        expect(over).toMatchObject({ entries: [], head, through: head + 1000 });
      });

      it("while it is being trimmed, every page is complete or says what is missing", async () => {
        const retention = { ...KEEP_ALL, maxEvents: 10 };
        const writing = (async () => {
          for (let index = 0; index < 300; index++) await node.append("t", [String(index)], { retention });
        })();
        let next = 0;
        for (let after = 0; next < 300; ) {
          const page = await node.read(["t"], { after, maxEntries: 3 });
          const [first] = page.entries;
          if (first !== undefined && Number(first.event.data) !== next) {
            expect(Number(first.event.data)).toBeGreaterThan(next);
            expect(page.topics[0]?.trimmedThrough).toBeGreaterThan(after);
            next = Number(first.event.data);
          }
          for (const entry of page.entries) expect(Number(entry.event.data)).toBe(next++);
          after = page.through;
          if (page.entries.length === 0) await new Promise((resolve) => setImmediate(resolve));
        }
        await writing;
      });

      it("following a topic brings every entry after the place it names", async () => {
        const [before] = await node.append("t", ["before"]);
        const after = await node.connection.follow("t");
        const [sequence] = await node.append("t", ["after"]);
        expect(after).toBeGreaterThanOrEqual(before as number);
        expect(after).toBeLessThan(sequence as number);
        await node.fed(sequence as number);
        expect(dataOf(node.entries).at(-1)).toBe("after");
        node.connection.unfollow("t");
      });
    });

    describe("conditional and repeated appends", () => {
      it("a condition holds only while the topic has not moved on", async () => {
        const [first] = await node.append("t", ["1"], { expectLast: null });
        const [other] = await node.append("other", ["x"]);
        const [second] = await node.append("t", ["2"], { expectLast: other as number });
        expect(await node.refused("t", ["3", "4"], { expectLast: first as number })).toBe("conflict");
        expect(await node.refused("t", ["3"], { expectLast: null })).toBe("conflict");
        await node.append("t", ["3"], { expectLast: second as number });
        expect(dataOf((await node.read(["t"])).entries)).toEqual(["1", "2", "3"]);
      });

      it("of several appends with one condition, one is accepted", async () => {
        const [last] = await node.append("t", ["1"]);
        const results = await Promise.all(
          texts(20).map((text) => node.refused("t", [text, text], { expectLast: last as number })),
        );
        expect(results.filter((result) => result === "accepted")).toHaveLength(1);
        expect((await node.read(["t"])).entries).toHaveLength(3);
      });

      it("a repeated publishId stores nothing and gives the first result, whatever came since", async () => {
        const first = await node.append("t", ["1", "2"], { publishId: "p", expectLast: null });
        await node.append("t", ["3"]);
        expect(await node.append("t", ["1", "2"], { publishId: "p", expectLast: null })).toEqual(first);
        await node.append("t", [], { mark: "finish" });
        expect(await node.append("t", ["1", "2"], { publishId: "p" })).toEqual(first);
        expect(await node.append("u", ["1"], { publishId: "p" })).not.toEqual(first);
        expect(dataOf((await node.read(["t"])).entries)).toEqual(["1", "2", "3"]);
      });

      it("the same publishId at once is accepted once", async () => {
        const results = await Promise.all(
          texts(10).map((text) => node.append("t", [text], { publishId: "p" })),
        );
        expect(new Set(results.flat()).size).toBe(1);
        expect((await node.read(["t"])).entries).toHaveLength(1);
      });

      it("a publishId is forgotten after its window, and a refused one is not remembered", async () => {
        const now = 1_000_000;
        expect(await node.refused("t", ["x"], { publishId: "p", expectLast: -1, now })).toBe("conflict");
        const first = await node.append("t", ["1"], { publishId: "p", publishIdWindowMs: 1000, now });
        await node.connection.expire(now + 1001);
        const later = { publishId: "p", publishIdWindowMs: 1000, now: now + 1001 };
        expect(await node.append("t", ["1"], later)).not.toEqual(first);
      });
    });

    describe("ends", () => {
      it("a finished topic takes nothing more, and finishing it again changes nothing", async () => {
        await node.follow("t");
        const sequences = await node.append("t", ["last"], { mark: "finish" });
        expect(sequences).toHaveLength(2);
        const [, mark] = sequences as [number, number];
        expect(await node.refused("t", ["x"], {})).toBe("finished");
        expect(await node.refused("t", ["x"], { mark: "finish" })).toBe("finished");
        expect(await node.append("t", [], { mark: "finish" })).toEqual([mark]);
        const page = await node.read(["t"]);
        expect(dataOf(page.entries)).toEqual(["last"]);
        expect(page.topics[0]).toMatchObject({ finishedAt: mark, last: mark });
        await node.fed(mark);
        expect(node.entries.map(({ kind }) => kind)).toEqual(["event", "finish"]);
      });

      it("deleting erases events and the finish mark, and the topic begins anew", async () => {
        await node.follow("t");
        const [first] = await node.append("t", ["1", "2"], { mark: "finish" });
        const [mark] = await node.append("t", [], { mark: "delete" });
        const page = await node.read(["t"]);
        expect(page.entries).toEqual([]);
        expect(page.topics[0]).toMatchObject({
          first: 0,
          trimmedThrough: mark,
          deleted: true,
          finishedAt: 0,
        });
        await node.fed(mark as number);
        expect(node.entries.at(-1)).toMatchObject({ kind: "delete", topic: "t", sequence: mark });
        expect(await node.refused("t", ["x"], { expectLast: first as number })).toBe("conflict");
        const [anew] = await node.append("t", ["3"], { expectLast: null });
        const state = (await node.read(["t"])).topics[0];
        expect(state).toMatchObject({ first: anew, last: anew, finishedAt: 0 });
        expect(state?.trimmedThrough).toBeGreaterThanOrEqual(mark as number);
      });

      it("deleting what is not there stores nothing", async () => {
        const { head } = await node.read([]);
        expect(await node.append("t", [], { mark: "delete" })).toEqual([]);
        expect((await node.read([])).head).toBe(head);
      });
    });

    describe("retention", () => {
      it("keeps as many events as the limit says, and knows through where it trimmed", async () => {
        await node.follow("t");
        const retention = { ...KEEP_ALL, maxEvents: 3 };
        const sequences = await node.append("t", texts(10), { retention });
        const page = await node.read(["t"]);
        expect(dataOf(page.entries)).toEqual(["7", "8", "9"]);
        expect(page.topics[0]).toMatchObject({
          first: sequences[7],
          trimmedThrough: sequences[6],
          deleted: false,
        });
        await node.fed(sequences[9] as number);
        expect(dataOf(node.entries)).toEqual(texts(10));
      });

      it("keeps as many bytes as the limit says, but always the newest event", async () => {
        const retention = { ...KEEP_ALL, maxBytes: 2500 };
        for (const text of texts(10)) await node.append("t", [text.padEnd(1000)], { retention });
        expect(dataOf((await node.read(["t"])).entries).map((data) => data.trim())).toEqual(["8", "9"]);
        await node.append("t", ["x".repeat(10_000)], { retention });
        expect((await node.read(["t"])).entries).toHaveLength(1);
      });

      it("lets go of what is over its age", async () => {
        const retention = { ...KEEP_ALL, maxAgeMs: 1000 };
        const [old] = await node.append("t", ["old"], { retention, now: 10_000 });
        await node.append("t", ["new"], { retention, now: 10_600 });
        await node.append("kept", ["old"], { now: 10_000 });
        await node.connection.expire(10_999);
        expect((await node.read(["t"])).entries).toHaveLength(2);
        await node.connection.expire(11_000);
        expect(dataOf((await node.read(["t"])).entries)).toEqual(["new"]);
        await node.connection.expire(20_000);
        const page = await node.read(["t", "kept"]);
        expect(dataOf(page.entries)).toEqual(["old"]);
        expect(page.topics[0]?.trimmedThrough).toBeGreaterThan(old as number);
      });

      it("of 3,000 topics without events it says enough, whether it remembers them or not", async () => {
        const ends = new Map<string, number>();
        for (let index = 0; index < 3000; index++) {
          const topic = `short-lived-${index}`;
          const [sequence] = await node.append(topic, ["x"]);
          await node.append(topic, [], { mark: "delete" });
          ends.set(topic, sequence as number);
        }
        const topics = [...ends.keys()];
        const page = await node.read(topics);
        topics.forEach((topic, index) => {
          expect(page.topics[index]?.trimmedThrough).toBeGreaterThanOrEqual(ends.get(topic) as number);
        });
        const stale = ends.get("short-lived-0") as number;
        expect(await node.refused("short-lived-0", ["x"], { expectLast: stale })).toBe("conflict");
        const unknown = (await node.read(["never"])).topics[0];
        expect(unknown).toMatchObject({ first: 0, last: 0, finishedAt: 0, deleted: false });
        await node.append("never", ["x"], { expectLast: null });
        expect((await node.read(["never"])).topics[0]?.trimmedThrough).toBe(unknown?.trimmedThrough);
      });
    });

    describe("opening and closing", () => {
      it("a new opening knows the epochs, and begins one where it can't prove that nothing was lost", async () => {
        const before = node.connection.epochs;
        await node.append("t", ["1"]);
        const { head } = await node.read([]);
        await node.connection.close();
        const again = await openNode(await fixture.restart());
        const { epochs } = again.connection;
        expect(epochs.map(({ epoch }) => epoch)).toEqual([...new Set(epochs.map(({ epoch }) => epoch))]);
        expect(epochs.map(({ first }) => first)).toEqual(
          epochs.map(({ first }) => first).sort((a, b) => a - b),
        );
        const newest = epochs.at(-1);
        if (newest?.epoch === before.at(-1)?.epoch) {
          expect(again.connection.head).toBe(head);
        } else {
          expect(before).not.toContainEqual(expect.objectContaining({ epoch: newest?.epoch }));
          expect(newest?.first).toBe(again.connection.head + 1);
        }
        const [sequence] = await again.append("t", ["2"]);
        expect(sequence).toBeGreaterThanOrEqual(newest?.first as number);
        await again.connection.close();
      });

      it("calls under way when it closes settle, later ones say that it is closed", async () => {
        await node.append("t", texts(1000));
        const calls: Promise<unknown>[] = [];
        for (let index = 0; index < 50; index++) calls.push(node.read(["t"]), node.append("t", ["x"]));
        const closing = node.connection.close();
        for (const { status, reason } of (await Promise.allSettled(calls)) as PromiseRejectedResult[]) {
          if (status === "rejected") expect(reason).toMatchObject({ code: "LOG_CLOSED" });
        }
        await closing;
        await node.connection.close();
        await expect(node.read(["t"])).rejects.toMatchObject({ code: "LOG_CLOSED" });
        await expect(node.append("t", ["x"])).rejects.toMatchObject({ code: "LOG_CLOSED" });
      });

      it("a connection begins behind what was there before it", async () => {
        const [sequence] = await node.append("t", ["1"]);
        const late = await openNode(fixture.log);
        expect(late.connection.head).toBe(sequence);
        await late.follow("t");
        const [next] = await node.append("t", ["2"]);
        await late.fed(next as number);
        expect(dataOf(late.entries)).toEqual(["2"]);
        await late.connection.close();
      });
    });

    it("takes a million events on 500 topics, and feeds and gives them all back in order", async () => {
      const batches = 1000;
      await node.follow(...numbersFrom(0, 500).map((index) => `t${index}`));
      let fed = 0;
      const all = new Promise<void>((resolve, reject) => {
        const take = ({ entries }: Delivery): void => {
          for (const { event } of entries) {
            if (event.data !== String(fed++)) reject(new Error(`The feed lost ${fed - 1}.`));
          }
          if (fed === batches * 1000) resolve();
        };
        node.take = take;
      });
      // Some at a time, as many publishers would.
      for (let batch = 0; batch < batches; batch += 10) {
        await Promise.all(
          numbersFrom(batch, 10).map((one) => node.append(`t${one % 500}`, texts(1000, one * 1000))),
        );
      }
      await all;
      const topics = numbersFrom(0, 500).map((index) => `t${index}`);
      let next = 0;
      let page = await node.read(topics, { maxEntries: 5000 });
      while (page.entries.length > 0) {
        for (const entry of page.entries)
          if (entry.event.data !== String(next++)) expect.fail(`lost ${next - 1}`);
        page = await node.read(topics, { maxEntries: 5000, after: page.through });
      }
      expect(next).toBe(batches * 1000);
    }, 240_000);
  });
}

function numbersFrom(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => first + index);
}

function stored(data: string, time = Date.now()): StoredEvent {
  return { type: "message", data, json: false, key: undefined, meta: undefined, time, version: 1 };
}

function texts(count: number, from = 0): string[] {
  return numbersFrom(from, count).map(String);
}

function dataOf(entries: readonly LogEntry[]): string[] {
  return entries.map(({ event }) => event.data);
}
