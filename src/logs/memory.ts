import { invalidOption } from "../errors.ts";
import { Deque } from "../hub/deque.ts";
import {
  type AppendRequest,
  type AppendResult,
  type Delivery,
  type Epoch,
  type EventLog,
  type LogEntry,
  type LogFeed,
  NO_EVENT,
  type Page,
  type ReadQuery,
  type RetentionLimits,
} from "../hub/log.ts";
import { assertOptions, type NamesOf } from "../input.ts";
import { Heap } from "./heap.ts";
import { placeBeforeLast, readMerged } from "./memory-read.ts";
import { MemoryEntry, MemoryTopic, unknownTopic } from "./memory-topic.ts";
import { PublishIds } from "./publish-ids.ts";
import { type Store, StoreConnection, type StoreTraits } from "./store-connection.ts";

/** Options of {@link memoryLog}. */
export interface MemoryLogOptions {
  /**
   * How many bytes all topics together may hold, by estimate. Over it the oldest events go, whatever their topic's
   * retention says. Default: 268,435,456 (256 MiB).
   */
  maxBytes?: number;
}

/**
 * A log in this process' memory: as fast as it gets, and gone with the process. Positions of an earlier process are
 * recognised, so that clients who come back with one get `sse:gap` (`epoch`) and not somebody else's events.
 *
 * Several hubs may share one, as several servers share a broker.
 *
 * @throws EverstreamError `INVALID_OPTION`.
 */
export function memoryLog(options: MemoryLogOptions = {}): EventLog {
  assertOptions("options", options, NAMES);
  const { maxBytes = DEFAULT_MAX_BYTES } = options;
  if (typeof maxBytes !== "number" || !(maxBytes > 0))
    throw invalidOption("`maxBytes` must be a number of bytes over 0.");
  const store = new MemoryStore(maxBytes);
  return { open: async (feed) => new StoreConnection(store, feed, TRAITS) };
}

const NAMES: NamesOf<MemoryLogOptions> = { maxBytes: true };
const DEFAULT_MAX_BYTES = 256 * 1024 * 1024;
/** What a topic takes beside its events, about. */
const TOPIC_OVERHEAD = 600;
/** Topics without events that are still remembered, so that their readers are told exactly. */
const MAX_EMPTY_TOPICS = 1000;
/** Void entries of the timetable that are not worth clearing away. */
const MIN_VOID_DUES = 1000;
/** Events that one call of `expire` removes at the most. */
const MAX_EXPIRED_AT_ONCE = 10_000;

const TRAITS: StoreTraits = /* @__PURE__ */ Object.freeze({
  name: "memory log",
  exclusive: false,
  release: () => Promise.resolve(),
});

/** When a topic's oldest event will be over its age. Void where the topic has another time by now. */
interface Due {
  readonly topic: MemoryTopic;
  readonly at: number;
}

class MemoryStore implements Store {
  readonly epochs: readonly Epoch[] = [{ epoch: randomEpoch(), first: 1 }];
  readonly feeds = new Set<LogFeed>();
  head = 0;

  readonly #maxBytes: number;
  readonly #topics = new Map<string, MemoryTopic>();
  /** Topics without events, the longest empty first. */
  readonly #empty = new Set<MemoryTopic>();
  readonly #publishIds = new PublishIds();
  readonly #timetable = new Heap<Due>((a, b) => a.at < b.at);
  /** How many of the timetable's entries are void. */
  #voidDues = 0;
  readonly #deliveries = new Deque<Delivery>();
  #delivering = false;
  #floor = 0;
  #bytes = 0;
  #oldest: MemoryEntry | undefined;
  #newest: MemoryEntry | undefined;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  append(request: AppendRequest): AppendResult {
    const { topic: name, publishId, now, mark } = request;
    if (publishId !== undefined) {
      const sequences = this.#publishIds.get(name, publishId, now);
      if (sequences !== undefined) return { accepted: true, sequences, repeated: true };
    }
    const topic = this.#topics.get(name);
    if (topic !== undefined && topic.finishedAt > 0 && mark !== "delete") {
      if (mark !== "finish" || request.events.length > 0) return { accepted: false, reason: "finished" };
      return { accepted: true, sequences: [topic.finishedAt], repeated: true };
    }
    if (!this.#isAsExpected(topic, request.expectLast)) return { accepted: false, reason: "conflict" };
    const after = this.head;
    const entries =
      mark === "delete" ? this.#delete(topic) : this.#add(topic ?? this.#newTopic(name), request);
    const sequences = entries.map((entry) => entry.sequence);
    if (publishId !== undefined) {
      this.#publishIds.set(name, publishId, sequences, now, request.publishIdWindowMs);
    }
    if (entries.length > 0) this.#deliver({ after, through: this.head, entries });
    return { accepted: true, sequences, repeated: false };
  }

  read(query: ReadQuery): Page {
    const { head } = this;
    const known: MemoryTopic[] = [];
    const topics = query.topics.map((name) => {
      const topic = this.#topics.get(name);
      if (topic === undefined) return unknownTopic(this.#floor);
      known.push(topic);
      return topic.state();
    });
    const after =
      typeof query.after === "number" ? query.after : placeBeforeLast(known, query.after.last, head);
    return { after, head, topics, ...readMerged(known, after, query, head) };
  }

  expire(now: number): void {
    this.#publishIds.expire(now);
    let left = MAX_EXPIRED_AT_ONCE;
    for (let due = this.#timetable.first; due !== undefined && due.at <= now; due = this.#timetable.first) {
      if (left <= 0) return;
      this.#timetable.pop();
      const { topic } = due;
      if (topic.dueAt !== due.at) {
        this.#voidDues--;
        continue;
      }
      topic.dueAt = 0;
      while (left > 0 && isOverAge(topic, now)) {
        this.#trimOne(topic);
        left--;
      }
      this.#schedule(topic);
    }
  }

  #isAsExpected(topic: MemoryTopic | undefined, expectLast: number | null | undefined): boolean {
    if (expectLast === undefined) return true;
    if (expectLast === null) return topic === undefined || topic.entries.length === 0;
    return (topic?.last ?? this.#floor) <= expectLast;
  }

  #newTopic(name: string): MemoryTopic {
    const topic = new MemoryTopic(name, this.#floor);
    this.#topics.set(name, topic);
    this.#bytes += TOPIC_OVERHEAD + name.length;
    return topic;
  }

  #add(topic: MemoryTopic, { events, mark, retention }: AppendRequest): LogEntry[] {
    const entries: LogEntry[] = [];
    for (const event of events) {
      const entry = new MemoryEntry(++this.head, event, topic);
      topic.add(entry);
      this.#link(entry);
      entries.push(entry);
    }
    if (mark === "finish") {
      topic.finishedAt = ++this.head;
      topic.last = this.head;
      entries.push({ sequence: this.head, topic: topic.name, kind: "finish", event: NO_EVENT });
    }
    if (topic.entries.length > 0) this.#empty.delete(topic);
    this.#limit(topic, retention);
    return entries;
  }

  #delete(topic: MemoryTopic | undefined): LogEntry[] {
    if (topic === undefined || (topic.entries.length === 0 && topic.finishedAt === 0)) return [];
    for (let left = topic.entries.length; left > 0; left--) this.#trimOne(topic);
    const sequence = ++this.head;
    topic.last = sequence;
    topic.trimmedThrough = sequence;
    topic.deleted = true;
    topic.finishedAt = 0;
    this.#onEmpty(topic);
    return [{ sequence, topic: topic.name, kind: "delete", event: NO_EVENT }];
  }

  #limit(topic: MemoryTopic, { maxEvents, maxBytes, maxAgeMs }: RetentionLimits): void {
    const { entries } = topic;
    while (entries.length > 1 && (entries.length > maxEvents || topic.bytes > maxBytes)) {
      this.#trimOne(topic);
    }
    if (topic.maxAgeMs !== maxAgeMs) {
      topic.maxAgeMs = maxAgeMs;
      this.#unschedule(topic);
    }
    this.#schedule(topic);
    while (this.#bytes > this.#maxBytes && this.#oldest !== this.#newest) {
      this.#trimOne((this.#oldest as MemoryEntry).home);
    }
    // A topic that has nothing but its finish mark is empty too.
    if (entries.length === 0) this.#onEmpty(topic);
  }

  #schedule(topic: MemoryTopic): void {
    const oldest = topic.entries.at(0);
    if (topic.dueAt !== 0 || oldest === undefined || topic.maxAgeMs === Number.POSITIVE_INFINITY) return;
    topic.dueAt = oldest.event.time + topic.maxAgeMs;
    this.#timetable.push({ topic, at: topic.dueAt });
  }

  #unschedule(topic: MemoryTopic): void {
    if (topic.dueAt === 0) return;
    topic.dueAt = 0;
    if (++this.#voidDues <= MIN_VOID_DUES || this.#voidDues * 2 <= this.#timetable.size) return;
    this.#timetable.retain((due) => due.topic.dueAt === due.at);
    this.#voidDues = 0;
  }

  #trimOne(topic: MemoryTopic): void {
    const entry = topic.trimOne();
    if (entry === undefined) return;
    this.#unlink(entry);
    if (topic.entries.length === 0) this.#onEmpty(topic);
  }

  #onEmpty(topic: MemoryTopic): void {
    this.#unschedule(topic);
    this.#empty.delete(topic);
    this.#empty.add(topic);
    if (this.#empty.size <= MAX_EMPTY_TOPICS) return;
    for (const forgotten of this.#empty) {
      this.#empty.delete(forgotten);
      this.#topics.delete(forgotten.name);
      this.#bytes -= TOPIC_OVERHEAD + forgotten.name.length;
      this.#floor = Math.max(this.#floor, forgotten.trimmedThrough, forgotten.last);
      return;
    }
  }

  #link(entry: MemoryEntry): void {
    this.#bytes += entry.bytes;
    entry.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = entry;
    else this.#newest.newer = entry;
    this.#newest = entry;
  }

  #unlink(entry: MemoryEntry): void {
    this.#bytes -= entry.bytes;
    if (entry.older === undefined) this.#oldest = entry.newer;
    else entry.older.newer = entry.newer;
    if (entry.newer === undefined) this.#newest = entry.older;
    else entry.newer.older = entry.older;
    entry.older = undefined;
    entry.newer = undefined;
  }

  /** Hands over in order, also where a feed's listener publishes at once. */
  #deliver(delivery: Delivery): void {
    this.#deliveries.push(delivery);
    if (this.#delivering) return;
    this.#delivering = true;
    for (let next = this.#deliveries.shift(); next !== undefined; next = this.#deliveries.shift()) {
      for (const feed of this.feeds) feed.onEntries(next);
    }
    this.#delivering = false;
  }
}

function isOverAge(topic: MemoryTopic, now: number): boolean {
  const oldest = topic.entries.at(0);
  return oldest !== undefined && oldest.event.time + topic.maxAgeMs <= now;
}

/** Short, and not likely to be that of the process before. */
function randomEpoch(): number {
  return (crypto.getRandomValues(new Uint32Array(1))[0] as number) + 1;
}
