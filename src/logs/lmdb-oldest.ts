import type { Database } from "lmdb";
import type { EventMeasure } from "./lmdb-event.ts";
import { LAST, type Pair } from "./lmdb-keys.ts";
import type { TopicRecord } from "./lmdb-topic.ts";

/** An event that may be trimmed. */
export interface Measured extends EventMeasure {
  readonly sequence: number;
}

/** Some of a topic's oldest events, those from `next` on not trimmed. */
interface Window {
  readonly events: Measured[];
  next: number;
}

const MIN_WINDOW = 2;
/** A topic at its limit trims one event for each that comes. To open a cursor for that costs as much as to read ten. */
const MAX_WINDOW = 64;
const GROWTH = 4;
/** How many topics' windows are kept, 3 kB each or so. */
const MAX_WINDOWS = 1000;

/** The oldest stored events of topics that are being trimmed, read ahead. */
export class OldestEvents {
  readonly #events: Database<EventMeasure, Pair>;
  /** By the topics' numbers, the one read longest ago first. */
  readonly #windows = new Map<number, Window>();

  constructor(events: Database<EventMeasure, Pair>) {
    this.#events = events;
  }

  /** The oldest event of a topic that was stored before this commit, and that is not trimmed. */
  first(topic: TopicRecord): Measured | undefined {
    const window = this.#windows.get(topic.id);
    return window?.events[window.next] ?? this.#read(topic, window);
  }

  /** Goes on to the one after {@link first}. */
  advance(topic: TopicRecord): void {
    const window = this.#windows.get(topic.id);
    if (window !== undefined) window.next++;
  }

  forget(topic: TopicRecord): void {
    this.#windows.delete(topic.id);
  }

  clear(): void {
    this.#windows.clear();
  }

  #read(topic: TopicRecord, last: Window | undefined): Measured | undefined {
    const limit = Math.min(MAX_WINDOW, (last?.events.length ?? 0) * GROWTH || MIN_WINDOW);
    const range = {
      start: [topic.id, topic.trimmedThrough + 1] as Pair,
      end: [topic.id, LAST] as Pair,
      limit,
    };
    const events: Measured[] = [];
    for (const { key, value } of this.#events.getRange(range)) {
      events.push({ sequence: key[1], size: value.size, time: value.time });
    }
    this.#windows.delete(topic.id);
    if (events.length > 0) this.#windows.set(topic.id, { events, next: 0 });
    if (this.#windows.size > MAX_WINDOWS) this.#windows.delete(this.#windows.keys().next().value as number);
    return events[0];
  }
}
