import type { Page, ReadQuery, TopicState } from "../../hub/log.ts";
import { logFailed, TRIMMED } from "./errors.ts";
import { MAX_WANTED, placeBeforeLast, readMerged, type Topic } from "./merge.ts";
import type { Messages, ReadMessage } from "./messages.ts";
import { lastSequenceOf, messageOf } from "./names.ts";
import { type Position, stateOf, type TopicRecord } from "./record.ts";
import type { Session } from "./session.ts";
import type { KnownTopic } from "./topics.ts";

/** How often a read begins anew because of what was trimmed under its hands. */
const MAX_TRIES = 50;
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
      : await placeBeforeLast(session.messages, kept, query.after.last, head);
  const page = await readMerged(session.messages, kept, after, query, head);
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
