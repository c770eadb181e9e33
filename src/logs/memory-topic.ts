import { Deque, indexAfter } from "../hub/deque.ts";
import { type LogEntry, type StoredEvent, sizeOf, type TopicState } from "../hub/log.ts";

/** An event in memory, linked with those before and after it in the whole log's order. */
export class MemoryEntry implements LogEntry {
  readonly sequence: number;
  readonly topic: string;
  readonly kind = "event";
  readonly event: StoredEvent;
  readonly home: MemoryTopic;
  readonly bytes: number;
  older: MemoryEntry | undefined;
  newer: MemoryEntry | undefined;

  constructor(sequence: number, event: StoredEvent, home: MemoryTopic) {
    this.sequence = sequence;
    this.topic = home.name;
    this.event = event;
    this.home = home;
    this.bytes = sizeOf(event);
  }
}

/** One topic's events, oldest first, and what {@link TopicState} tells of it. */
export class MemoryTopic {
  readonly name: string;
  readonly entries = new Deque<MemoryEntry>();
  bytes = 0;
  last = 0;
  trimmedThrough: number;
  deleted = false;
  finishedAt = 0;
  maxAgeMs = Number.POSITIVE_INFINITY;
  /** When its oldest event is over the age, as the log's timetable has it; 0 where it is not in there. */
  dueAt = 0;

  constructor(name: string, floor: number) {
    this.name = name;
    this.trimmedThrough = floor;
  }

  state(): TopicState {
    return {
      first: this.entries.at(0)?.sequence ?? 0,
      last: this.last,
      trimmedThrough: this.trimmedThrough,
      deleted: this.deleted,
      finishedAt: this.finishedAt,
    };
  }

  add(entry: MemoryEntry): void {
    this.entries.push(entry);
    this.bytes += entry.bytes;
    this.last = entry.sequence;
  }

  /** Takes the oldest event out. */
  trimOne(): MemoryEntry | undefined {
    const entry = this.entries.shift();
    if (entry === undefined) return undefined;
    this.bytes -= entry.bytes;
    this.trimmedThrough = entry.sequence;
    this.deleted = false;
    return entry;
  }

  indexAfter(sequence: number): number {
    return indexAfter(this.entries, sequence);
  }
}

/** What is known of a topic that the log does not know. */
export function unknownTopic(floor: number): TopicState {
  return { first: 0, last: 0, trimmedThrough: floor, deleted: false, finishedAt: 0 };
}
