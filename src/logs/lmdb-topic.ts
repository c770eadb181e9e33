import type { TopicState } from "../hub/log.ts";

/** All numbers of a topic's record, in the order in which they lie on disk, eight bytes each. New ones go to the end. */
const NUMBERS = [
  /** Stands for the topic in the keys of its events. */
  "id",
  "first",
  "last",
  "trimmedThrough",
  "finishedAt",
  /** How many events it holds, and their bytes. */
  "events",
  "bytes",
  "maxEvents",
  "maxBytes",
  "maxAgeMs",
  /** When it is to be looked at because of its retention, as the timetable has it; 0 where it is not in there. */
  "dueAt",
  /** Its number in the list of topics without events; 0 where it is not in there. */
  "emptyAt",
] as const;

/** What is stored of a topic beside its events. Words as in {@link TopicState}. */
export type TopicRecord = Record<(typeof NUMBERS)[number], number> & { deleted: boolean };

const DELETED_AT = NUMBERS.length * 8;

export function encodeTopic(record: TopicRecord): Buffer {
  const bytes = Buffer.allocUnsafe(DELETED_AT + 1);
  let at = 0;
  for (const name of NUMBERS) at = bytes.writeDoubleLE(record[name], at);
  bytes[DELETED_AT] = record.deleted ? 1 : 0;
  return bytes;
}

export function decodeTopic(bytes: Buffer): TopicRecord {
  const record = { ...NEW_TOPIC };
  let at = 0;
  for (const name of NUMBERS) {
    record[name] = bytes.readDoubleLE(at);
    at += 8;
  }
  record.deleted = bytes[DELETED_AT] === 1;
  return record;
}

export const NEW_TOPIC: Readonly<TopicRecord> = {
  id: 0,
  first: 0,
  last: 0,
  trimmedThrough: 0,
  finishedAt: 0,
  events: 0,
  bytes: 0,
  maxEvents: Number.POSITIVE_INFINITY,
  maxBytes: Number.POSITIVE_INFINITY,
  maxAgeMs: Number.POSITIVE_INFINITY,
  dueAt: 0,
  emptyAt: 0,
  deleted: false,
};

/** What readers are told of a topic; of one without a record, what the log's floor says. */
export function topicState(record: TopicRecord | undefined, floor: number): TopicState {
  if (record === undefined)
    return { first: 0, last: 0, trimmedThrough: floor, deleted: false, finishedAt: 0 };
  const { first, last, trimmedThrough, deleted, finishedAt } = record;
  return { first, last, trimmedThrough, deleted, finishedAt };
}
