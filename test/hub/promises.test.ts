// What a hub promises its readers, with everything at once: all of it, in order and once, or a gap that says what is missing.
import { createHub, type EventLog, type Hub, memoryLog } from "everstream";
import type { GapData } from "everstream/protocol";
import { describe, expect, it } from "vitest";
import { randomFrom, seed } from "../resume/seed.ts";
import { until } from "../session/eventually.ts";
import { connect, type TestClient } from "./client.ts";
import { remoteLog } from "./remote-log.ts";

const TOPICS = ["a", "b", "c", "d", "e", "f"];
const WORLDS = 60;
const STEPS = 200;

/** What the log has accepted. */
interface Written {
  readonly topic: string;
  readonly sequence: number;
  readonly erases: boolean;
}

/** What a reader was given, in its order: events as their sequences. */
type Item = number | GapData;

interface Given {
  readonly topics: readonly string[];
  readonly after: number;
  readonly items: () => readonly Item[];
}

class World {
  readonly written: Written[] = [];
  readonly readers: Given[] = [];
  readonly #hub: Hub;
  readonly #random: () => number;
  readonly #clients: TestClient[] = [];
  readonly #opening: Promise<void>[] = [];
  #loss: number;

  constructor(random: () => number) {
    this.#random = random;
    this.#loss = random() < 0.3 ? 0 : 0.3;
    this.#hub = createHub({
      log: remoteLog(accountedFor(memoryLog(), this.written), { loses: () => random() < this.#loss }),
      limits: { maxWaitingBytes: random() < 0.5 ? 20_000 : 1_000_000 },
      retention: () => ({ maxEvents: random() < 0.03 ? 3 : 100_000, maxBytes: 1e9 }),
    });
  }

  async run(): Promise<void> {
    const epoch = (await this.#hub.position()).split("-")[0] as string;
    for (let step = 0; step < STEPS; step++) await this.#step(epoch);
    this.#loss = 0;
    await Promise.all(this.#opening);
    for (const client of this.#clients) goOn(client);
    // What was lost last shows in the next delivery that gets through.
    for (let round = 0; round < 2; round++) for (const topic of TOPICS) await this.#publish(topic);
    for (const { topics, items } of this.readers) {
      const last = this.written.findLast(({ topic }) => topics.includes(topic))?.sequence;
      await until(() => items().at(-1) === last);
    }
    await this.#hub.close();
  }

  async #step(epoch: string): Promise<void> {
    const dice = this.#random();
    const topic = this.#pick(TOPICS);
    if (dice < 0.7) {
      const work = this.#publish(topic);
      if (this.#random() < 0.3) await work;
    } else if (dice < 0.74) {
      await this.#hub.delete(topic);
    } else if (dice < 0.84 && this.written.length > 5) {
      this.#join(epoch);
    } else if (this.#clients.length > 0) {
      const client = this.#pick(this.#clients);
      if (this.#random() < 0.5) client.sink.stalled = true;
      else goOn(client);
    }
    if (this.#random() < 0.3) await new Promise((resolve) => setImmediate(resolve));
  }

  #publish(topic: string): Promise<unknown> {
    return this.#hub.publish(topic, { text: "x".repeat(this.#random() < 0.2 ? 9000 : 10) });
  }

  #join(epoch: string): void {
    const { sequence } = this.#pick(this.written);
    const topics = [...new Set([this.#pick(TOPICS), this.#pick(TOPICS)])];
    const after = `${epoch}-${sequence.toString(36)}`;
    if (this.#random() < 0.5) {
      const items: Item[] = [];
      this.#hub.subscribe(
        topics,
        ({ type, id, data }) => items.push(type === "sse:gap" ? (data as GapData) : sequenceOf(id)),
        { after },
      );
      this.readers.push({ topics, after: sequence, items: () => items });
      return;
    }
    this.#opening.push(this.#connect(topics, sequence, after));
  }

  async #connect(topics: readonly string[], sequence: number, after: string): Promise<void> {
    const client = await connect(this.#hub, { topics, lastEventId: after });
    this.#clients.push(client);
    const items = () =>
      client.events.map(({ event, data, lastEventId }): Item => {
        return event === "sse:gap" ? JSON.parse(data) : sequenceOf(lastEventId);
      });
    this.readers.push({ topics, after: sequence, items });
  }

  #pick<Some>(from: readonly Some[]): Some {
    return from[Math.floor(this.#random() * from.length)] as Some;
  }
}

/** A log that notes what it has accepted. */
function accountedFor(log: EventLog, written: Written[]): EventLog {
  return {
    async open(feed) {
      const connection = await log.open(feed);
      return {
        epochs: connection.epochs,
        head: connection.head,
        append: async (request) => {
          const result = await connection.append(request);
          if (result.accepted) {
            const { topic, mark } = request;
            for (const sequence of result.sequences) {
              written.push({ topic, sequence, erases: mark === "delete" });
            }
          }
          return result;
        },
        read: (query) => connection.read(query),
        follow: (topic) => connection.follow(topic),
        unfollow: (topic) => connection.unfollow(topic),
        expire: (now) => connection.expire(now),
        close: () => connection.close(),
      };
    },
  };
}

function goOn({ sink }: TestClient): void {
  sink.stalled = false;
  sink.drain();
}

function sequenceOf(id: string): number {
  return Number.parseInt(id.split("-")[1] ?? "", 36);
}

/** What is wrong with what a reader was given. */
function faultsOf({ topics, after, items }: Given, written: readonly Written[]): string[] {
  const faults: string[] = [];
  const events = items().filter((item) => typeof item === "number");
  const gaps = items().filter((item) => typeof item === "object");
  const given = new Set(events);
  events.forEach((sequence, index) => {
    if (sequence <= (events[index - 1] ?? after)) faults.push(`${sequence} is out of order, or comes twice`);
  });
  const concerned = written.filter(({ topic, sequence }) => topics.includes(topic) && sequence > after);
  for (const { topic, sequence, erases } of concerned) {
    const isIn = (gap: GapData, end: number): boolean =>
      gap.topic === topic && sequence > sequenceOf(gap.after) && sequence <= end;
    if (erases) continue;
    if (given.has(sequence) && gaps.some((gap) => isIn(gap, sequenceOf(gap.next) - 1))) {
      faults.push(`${topic}'s ${sequence} is given, and said to be missing`);
    }
    if (!given.has(sequence) && !gaps.some((gap) => isIn(gap, sequenceOf(gap.next)))) {
      faults.push(`${topic}'s ${sequence} is missing without a word`);
    }
  }
  for (const topic of topics) {
    const erasures = concerned.filter((one) => one.topic === topic && one.erases);
    const told = gaps.filter((gap) => gap.topic === topic && gap.reason === "deleted");
    if (told.length > erasures.length) faults.push(`${topic} is told to be erased ${told.length} times`);
  }
  return faults;
}

describe("readers that join late and stall, of a log far away whose deliveries get lost and whose topics are erased", () => {
  it(`get all of it, in order and once, or are told of a gap (seed ${seed})`, {
    timeout: 120_000,
  }, async () => {
    const random = randomFrom(seed);
    let readers = 0;
    for (let round = 0; round < WORLDS; round++) {
      const world = new World(random);
      await world.run();
      for (const reader of world.readers) expect(faultsOf(reader, world.written)).toEqual([]);
      readers += world.readers.length;
    }
    expect(readers).toBeGreaterThan(WORLDS);
  });
});
