import { type LogEntry, NO_EVENT, STORED_VERSION, type StoredEvent, type TopicState } from "../../hub/log.ts";
import { lastSequenceOf, sequenceOf } from "./names.ts";

/** A sequence of the log. */
export type Position = number;

/**
 * What a topic is after one of its messages. Every message carries it in a header, so that the topic's newest message
 * answers all that is asked of the topic, whoever wrote it, and so that the feed of headers keeps what is known up to date.
 */
export interface TopicRecord {
  /** The message's sequence in the stream; 0 for a topic that is not there. */
  readonly message: number;
  /** Tells this message from every other one, so that whoever wrote it knows it again. */
  readonly nonce: string;
  /** The topic's message before this one, or 0. */
  readonly previous: number;
  /** How many entries this message holds. */
  readonly count: number;
  /** Events up to here are gone. -1 where the topic is not there: then it is the log's floor. */
  readonly trimmedThrough: Position;
  readonly deleted: boolean;
  /** The oldest event kept, or 0. */
  readonly first: Position;
  /** The newest event kept, or 0. */
  readonly lastEvent: Position;
  readonly events: number;
  readonly bytes: number;
  /** How many events the topic ever had, and their bytes: from two messages' follows what lies between them. */
  readonly totalEvents: number;
  readonly totalBytes: number;
  readonly finishedAt: Position;
  /** The times of the oldest and of the newest event kept. */
  readonly oldest: number;
  readonly newest: number;
  readonly maxAgeMs: number;
  /** Until when any `publishId` of the topic has to be remembered. */
  readonly idsUntil: number;
}

/** A `publishId` that a message carries, and which of its entries were published with it. */
export interface CarriedId {
  readonly id: string;
  readonly from: number;
  readonly count: number;
  readonly until: number;
  /** Where its entries stand, if that is in an earlier message, which is erased. */
  readonly at?: Position;
}

/** The header that carries the record, and the one for ids, where there are any. */
export const RECORD_HEADER = "Es-Topic";
export const IDS_HEADER = "Es-Ids";

export const UNKNOWN: TopicRecord = Object.freeze({
  message: 0,
  nonce: "",
  previous: 0,
  count: 0,
  trimmedThrough: -1,
  deleted: false,
  first: 0,
  lastEvent: 0,
  events: 0,
  bytes: 0,
  totalEvents: 0,
  totalBytes: 0,
  finishedAt: 0,
  oldest: 0,
  newest: 0,
  maxAgeMs: Number.POSITIVE_INFINITY,
  idsUntil: 0,
});

export function newNonce(): string {
  const [high, low] = crypto.getRandomValues(new Uint32Array(2)) as unknown as [number, number];
  return high.toString(36) + low.toString(36);
}

/** A sequence that has no message yet is -1 less its entry's index: the message's own sequence is not known before it is stored. */
export function ownPosition(index: number): Position {
  return -1 - index;
}

const RADIX = 36;
const NEVER = "-";

/** Writes a record whose own sequences are as {@link ownPosition} gives them. */
export function encodeRecord(record: TopicRecord): string {
  return [
    STORED_VERSION,
    record.nonce,
    encodeNumber(record.previous),
    encodeNumber(record.count),
    encodePosition(record.trimmedThrough),
    record.deleted ? 1 : 0,
    encodePosition(record.first),
    encodePosition(record.lastEvent),
    encodeNumber(record.events),
    encodeNumber(record.bytes),
    encodePosition(record.finishedAt),
    encodeNumber(record.oldest),
    encodeNumber(record.newest),
    encodeNumber(record.maxAgeMs),
    encodeNumber(record.idsUntil),
    encodeNumber(record.totalEvents),
    encodeNumber(record.totalBytes),
  ].join(" ");
}

/** Reads the record of the message that has this sequence in the stream. Nothing where it is none of ours. */
export function decodeRecord(text: string, message: number): TopicRecord | undefined {
  const [version, nonce, ...fields] = text.split(" ");
  if (version !== String(STORED_VERSION) || nonce === undefined || fields.length < 15) return undefined;
  const count = decodeNumber(fields[1]);
  const position = (field: string | undefined): Position => decodePosition(field, message, count);
  return {
    message,
    nonce,
    previous: decodeNumber(fields[0]),
    count,
    trimmedThrough: position(fields[2]),
    deleted: fields[3] === "1",
    first: position(fields[4]),
    lastEvent: position(fields[5]),
    events: decodeNumber(fields[6]),
    bytes: decodeNumber(fields[7]),
    finishedAt: position(fields[8]),
    oldest: decodeNumber(fields[9]),
    newest: decodeNumber(fields[10]),
    maxAgeMs: decodeNumber(fields[11]),
    idsUntil: decodeNumber(fields[12]),
    totalEvents: decodeNumber(fields[13]),
    totalBytes: decodeNumber(fields[14]),
  };
}

/** Numbers with a fraction stay decimal: nobody promises that times are whole. */
function encodeNumber(value: number): string {
  if (value === Number.POSITIVE_INFINITY) return NEVER;
  return Number.isSafeInteger(value) && value >= 0 ? value.toString(RADIX) : `=${value}`;
}

function decodeNumber(text = "0"): number {
  if (text === NEVER) return Number.POSITIVE_INFINITY;
  return text.startsWith("=") ? Number(text.slice(1)) : Number.parseInt(text, RADIX);
}

function encodePosition(position: Position): string {
  return position < 0 ? `~${encodeNumber(-1 - position)}` : encodeNumber(position);
}

function decodePosition(text = "0", message: number, count: number): Position {
  return text.startsWith("~") ? sequenceOf(message, count, decodeNumber(text.slice(1))) : decodeNumber(text);
}

/** The newest entry of a topic. */
export function lastOf({ message }: TopicRecord): Position {
  return message === 0 ? 0 : lastSequenceOf(message);
}

/** What the hub is told of a topic. */
export function stateOf(record: TopicRecord, floor: Position): TopicState {
  return {
    first: record.first,
    last: lastOf(record),
    trimmedThrough: trimmedOf(record, floor),
    deleted: record.deleted,
    finishedAt: record.finishedAt,
  };
}

export function trimmedOf(record: TopicRecord, floor: Position): Position {
  return record.message === 0 ? floor : record.trimmedThrough;
}

/** Ids of publishers hold anything; headers hold ASCII. */
export function encodeIds(ids: readonly CarriedId[]): string {
  const fields = ids.map(({ id, from, count, until, at }) =>
    at === undefined ? [id, from, count, until] : [id, from, count, until, at],
  );
  return JSON.stringify(fields).replace(
    /[\u007f-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

export function decodeIds(text: string): CarriedId[] {
  const fields = JSON.parse(text) as [string, number, number, number, number?][];
  return fields.map(([id, from, count, until, at]) => ({
    ...{ id, from, count, until },
    ...(at !== undefined && { at }),
  }));
}

const IS_JSON = 1;
const HAS_KEY = 2;
const HAS_META = 4;
const FINISH = 0;
const DELETE = 1;

type StoredFields = [
  type: string,
  data: string,
  flags: number,
  time: number,
  key?: string | null,
  meta?: Readonly<Record<string, string>>,
];

/** An event as it lies in a message. */
export function encodeEntry(event: StoredEvent): string {
  const { type, data, json, key, meta, time } = event;
  const flags =
    (json ? IS_JSON : 0) | (key === undefined ? 0 : HAS_KEY) | (meta === undefined ? 0 : HAS_META);
  const fields: StoredFields = [type, data, flags, time];
  if (key !== undefined || meta !== undefined) fields.push(key ?? null);
  if (meta !== undefined) fields.push(meta);
  return JSON.stringify(fields);
}

export function encodeMark(mark: "finish" | "delete"): string {
  return String(mark === "finish" ? FINISH : DELETE);
}

/** The entries of a message. */
export function decodeEntries(topic: string, message: number, text: string): LogEntry[] {
  const entries = JSON.parse(text) as (StoredFields | number)[];
  const first = sequenceOf(message, entries.length, 0);
  return entries.map((fields, index): LogEntry => {
    const sequence = first + index;
    if (typeof fields === "number") {
      return { sequence, topic, kind: fields === FINISH ? "finish" : "delete", event: NO_EVENT };
    }
    return { sequence, topic, kind: "event", event: eventOf(fields) };
  });
}

function eventOf([type, data, flags, time, key, meta]: StoredFields): StoredEvent {
  return {
    type,
    data,
    json: (flags & IS_JSON) !== 0,
    key: (flags & HAS_KEY) === 0 ? undefined : (key as string),
    meta: (flags & HAS_META) === 0 ? undefined : meta,
    time,
    version: STORED_VERSION,
  };
}
