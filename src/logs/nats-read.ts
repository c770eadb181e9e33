import type { LogEntry, Page, ReadQuery, TopicState } from "../hub/log.ts";
import { sizeOf } from "../hub/log.ts";
import { Heap } from "./heap.ts";
import { logFailed } from "./nats-errors.ts";
import type { Messages, ReadMessage } from "./nats-messages.ts";
import { lastSequenceOf, messageOf } from "./nats-names.ts";
import { type Position, stateOf, type TopicRecord } from "./nats-record.ts";
import type { Session } from "./nats-session.ts";
import type { KnownTopic } from "./nats-topics.ts";

/** How often a read begins anew because of what was trimmed under its hands. */
const MAX_TRIES = 50;
/** About how many events of a page come in one message, where nothing is known of them. */
const MAX_WANTED = 256;

/** Something that was to be read is gone meanwhile. */
export const TRIMMED = Symbol("trimmed");

/** A topic at one moment. */
interface Topic {
  readonly name: string;
  readonly record: TopicRecord;
}

/** What a session's reads have in common. */
export interface Reading {
  readonly session: Session;
  /** The time through which events are over their age. */
  horizonOf(): number;
}

/**
 * Reads a page: asks for the newest message there is, waits until the clock is there, and then knows of all topics at one
 * moment. What is read by and by is checked by the chain of messages: where one is missing it was trimmed meanwhile, and
 * the read begins anew.
 */
export async function readPage(reading: Reading, query: ReadQuery): Promise<Page> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    try {
      return await readOnce(reading, query);
    } catch (error) {
      if (error !== TRIMMED) throw error;
    }
  }
  throw logFailed("The NATS log's events were trimmed faster than they could be read.");
}

async function readOnce(reading: Reading, query: ReadQuery): Promise<Page> {
  const { session } = reading;
  const newest = await session.newest();
  const { head, records, floor } = await momentOf(session, query.topics, newest);
  const horizon = reading.horizonOf();
  const topics: Topic[] = [];
  const states: TopicState[] = [];
  for (const [index, name] of query.topics.entries()) {
    const record = await withoutAged({ session, horizon }, name, records[index] as TopicRecord);
    topics.push({ name, record });
    states.push(stateOf(record, floor));
  }
  const kept = topics.filter(({ record }) => record.events > 0);
  const after =
    typeof query.after === "number"
      ? query.after
      : await placeBeforeLast(reading, kept, query.after.last, head);
  const page = await readMerged(reading, kept, after, query, head);
  return { after, head, topics: states, ...page };
}

interface Moment {
  readonly head: Position;
  readonly records: readonly TopicRecord[];
  readonly floor: Position;
}

/** The topics as they all are at one moment, which is the clock's. */
async function momentOf(session: Session, names: readonly string[], newest: number): Promise<Moment> {
  let through = newest;
  for (;;) {
    await session.clock.reaches(through);
    const topics = names.map((name) => session.topics.topic(name));
    const unknown = topics.filter(({ record }) => record === undefined);
    if (unknown.length > 0) {
      await Promise.all(unknown.map((topic) => session.topics.load(topic)));
      // Some may have been let go of for others.
      const loaded = new Map(topics.map((topic) => [topic.subject, topic]));
      through = Math.max(through, ...[...loaded.values()].map(({ record }) => record?.message ?? 0));
      await session.clock.reaches(through);
      const isCurrent = names.every((name, index) => session.topics.topic(name) === topics[index]);
      if (!isCurrent && names.length < MAX_WANTED) continue;
    }
    const ahead = topics.reduce((most, { record }) => Math.max(most, record?.message ?? 0), 0);
    if (ahead > session.clock.through) {
      through = ahead;
      continue;
    }
    return {
      head: lastSequenceOf(session.clock.through),
      records: topics.map(({ record }) => record as TopicRecord),
      floor: session.floor,
    };
  }
}

/** The topic without the events that are over their age. */
export async function withoutAged(
  { session, horizon }: { readonly session: Session; readonly horizon: number },
  name: string,
  record: TopicRecord,
): Promise<TopicRecord> {
  if (record.events === 0 || record.oldest + record.maxAgeMs > horizon) return record;
  const topic: KnownTopic = session.topics.topic(name);
  const { aged } = topic;
  if (aged?.at === record.message && aged.horizon === horizon) return aged.record;
  const found = await agedRecord(
    session.messages,
    name,
    aged?.at === record.message ? aged.record : record,
    horizon,
  );
  topic.aged = { at: record.message, horizon, record: found };
  return found;
}

async function agedRecord(
  messages: Messages,
  name: string,
  record: TopicRecord,
  horizon: number,
): Promise<TopicRecord> {
  const isOver = (time: number): boolean => time + record.maxAgeMs <= horizon;
  if (record.events === 0 || !isOver(record.oldest)) return record;
  let trimmedThrough = record.trimmedThrough;
  for (let from = messageOf(record.first); from <= record.message; ) {
    const read = await messages.read(name, from, record.message, MAX_WANTED);
    if (read.length === 0) throw TRIMMED;
    for (const message of read) {
      if (message.record.message > record.message) break;
      from = message.record.message + 1;
      // What was between may have been removed by somebody else already.
      if (lastSequenceOf(message.record.previous) >= record.first) {
        trimmedThrough = Math.max(trimmedThrough, lastSequenceOf(message.record.previous));
      }
      const measures = message.measuresAfter(0);
      let left = record.totalEvents - message.record.totalEvents + measures.length;
      let bytes = measures.reduce(
        (sum, { size }) => sum + size,
        record.totalBytes - message.record.totalBytes,
      );
      for (const { position, size, time } of measures) {
        if (position >= record.first) {
          if (!isOver(time))
            return {
              ...record,
              events: left,
              bytes,
              trimmedThrough,
              first: position,
              oldest: time,
              deleted: false,
            };
          trimmedThrough = position;
        }
        left--;
        bytes -= size;
      }
    }
    if ((read.at(-1) as ReadMessage).record.message >= record.message) break;
  }
  return {
    ...record,
    events: 0,
    bytes: 0,
    trimmedThrough: record.lastEvent,
    first: 0,
    lastEvent: 0,
    deleted: false,
  };
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

async function readMerged(
  { session: { messages } }: Reading,
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
async function placeBeforeLast(
  { session: { messages } }: Reading,
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
