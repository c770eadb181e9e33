import { type LogEntry, type Page, type ReadQuery, sizeOf } from "../../hub/log.ts";
import { Heap } from "../heap.ts";
import { TRIMMED } from "./errors.ts";
import type { Messages, ReadMessage } from "./messages.ts";
import { lastSequenceOf, messageOf } from "./names.ts";
import type { Position, TopicRecord } from "./record.ts";

/** About how many messages are worth reading at once. */
export const MAX_WANTED = 256;

/** A topic at one moment. */
export interface Topic {
  readonly name: string;
  readonly record: TopicRecord;
}

/** A topic's events one after the other, as far as a read is with them. */
class Cursor {
  readonly #messages: Messages;
  readonly #topic: Topic;
  /** Entries through here are behind. */
  #after: Position;
  #wanted: number;
  #upcoming: ReadMessage[] = [];
  #entries: readonly LogEntry[] = [];
  #index = 0;

  constructor(messages: Messages, topic: Topic, after: Position, wanted: number) {
    this.#messages = messages;
    this.#topic = topic;
    this.#after = Math.max(after, topic.record.first - 1);
    this.#wanted = wanted;
  }

  /** The next event, if it is at hand. */
  get entry(): LogEntry | undefined {
    return this.#entries[this.#index];
  }

  /** Moves on by one. What comes then may have to be read first. */
  next(): void {
    this.#after = this.#entries[this.#index]?.sequence ?? this.#after;
    this.#index++;
  }

  /** Sees to it that the next event is at hand, if there is one. */
  async ready(): Promise<boolean> {
    while (this.entry === undefined) {
      if (this.#after >= this.#topic.record.lastEvent) return false;
      const message = this.#upcoming.shift();
      if (message !== undefined) this.#open(message);
      else await this.#read();
    }
    return true;
  }

  #open(message: ReadMessage): void {
    const { record, entries } = message;
    // Whatever was between is gone.
    if (lastSequenceOf(record.previous) > this.#after && record.previous > 0) throw TRIMMED;
    if (record.message > this.#topic.record.message) throw TRIMMED;
    const after = this.#after;
    this.#entries = entries.filter(({ kind, sequence }) => kind === "event" && sequence > after);
    this.#index = 0;
    this.#after = Math.max(after, lastSequenceOf(record.message));
    if (this.#entries.length > 0) this.#after = (this.#entries[0] as LogEntry).sequence - 1;
    else this.#entries = [];
  }

  async #read(): Promise<void> {
    const { name, record } = this.#topic;
    const from = messageOf(this.#after + 1);
    const read = await this.#messages.read(name, from, record.message, this.#wanted);
    this.#upcoming = read.filter((message) => message.record.message <= record.message);
    if (this.#upcoming.length === 0) throw TRIMMED;
  }
}

/** The entries of `topics` that a query asks for, in their one order. */
export async function readMerged(
  messages: Messages,
  topics: readonly Topic[],
  after: Position,
  query: ReadQuery,
  head: Position,
): Promise<Pick<Page, "entries" | "through">> {
  const entries: LogEntry[] = [];
  const end = { entries, through: Math.max(after, head) };
  if (query.maxEntries <= 0) {
    const isOver = topics.every(({ record }) => record.lastEvent <= after);
    return isOver ? end : { entries, through: after };
  }
  const wanted = Math.min(MAX_WANTED, Math.ceil(query.maxBytes / 200), query.maxEntries);
  const share = Math.max(1, Math.ceil(wanted / Math.max(1, topics.length)));
  const cursors = topics
    .filter(({ record }) => record.lastEvent > after)
    .map((topic) => new Cursor(messages, topic, after, share));
  const places = new Heap<Cursor>((a, b) => sequenceAt(a) < sequenceAt(b));
  const ready = await Promise.all(cursors.map((cursor) => cursor.ready()));
  cursors.forEach((cursor, index) => {
    if (ready[index]) places.push(cursor);
  });
  let bytes = 0;
  for (let place = places.first; place !== undefined; place = places.first) {
    if (entries.length >= query.maxEntries || bytes >= query.maxBytes) {
      return { entries, through: entries.at(-1)?.sequence ?? after };
    }
    const entry = place.entry as LogEntry;
    entries.push(entry);
    bytes += sizeOf(entry.event);
    place.next();
    if (place.entry !== undefined || (await place.ready())) places.replaceFirst(place);
    else places.pop();
  }
  return end;
}

function sequenceAt(cursor: Cursor): Position {
  return cursor.entry?.sequence ?? Number.POSITIVE_INFINITY;
}

/** A topic's events backwards, message by message. */
interface Back {
  readonly topic: Topic;
  readonly sequences: Position[];
  previous: number;
}

/** The place before the last `count` events of `topics`. */
export async function placeBeforeLast(
  messages: Messages,
  topics: readonly Topic[],
  count: number,
  head: Position,
): Promise<Position> {
  if (count <= 0 || topics.length === 0) return head;
  const total = topics.reduce((events, { record }) => events + record.events, 0);
  if (count >= total) return Math.min(...topics.map(({ record }) => record.first)) - 1;
  const places = new Heap<Back>((a, b) => (a.sequences.at(-1) ?? 0) > (b.sequences.at(-1) ?? 0));
  for (const topic of topics) {
    const back: Back = { topic, sequences: [], previous: messageOf(topic.record.lastEvent) };
    await goBack(messages, back);
    if (back.sequences.length > 0) places.push(back);
  }
  let oldest: Position = head + 1;
  for (let left = count; left > 0; left--) {
    const back = places.first;
    if (back === undefined) break;
    oldest = back.sequences.pop() as Position;
    if (back.sequences.length === 0) await goBack(messages, back);
    if (back.sequences.length > 0) places.replaceFirst(back);
    else places.pop();
  }
  return oldest - 1;
}

async function goBack(messages: Messages, back: Back): Promise<void> {
  const { name, record } = back.topic;
  while (back.sequences.length === 0 && back.previous >= messageOf(record.first) && back.previous > 0) {
    const message = await messages.one(name, back.previous);
    if (message === undefined) throw TRIMMED;
    for (const { position } of message.measuresAfter(record.first - 1)) back.sequences.push(position);
    back.previous = message.record.previous;
  }
}
