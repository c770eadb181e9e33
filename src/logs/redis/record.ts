import { EverstreamError } from "../../errors.ts";
import { type Epoch, type LogEntry, NO_EVENT, type StoredEvent } from "../../hub/log.ts";

// How events lie in Redis and travel from it: a line for each, so that scripts can join them without looking inside. What
// comes before the first tab is JSON, the rest is the data.

const IS_JSON = 1;
/** The data has line breaks, and is written as a JSON string. */
const IS_ESCAPED = 2;

type Head = [
  version: number,
  flags: number,
  time: number,
  type: string,
  key?: string | null,
  meta?: Readonly<Record<string, string>>,
];

export function encodeRecord({ type, data, json, key, meta, time, version }: StoredEvent): string {
  const escaped = data.includes("\n");
  const head: Head = [version, (json ? IS_JSON : 0) | (escaped ? IS_ESCAPED : 0), time, type];
  if (key !== undefined || meta !== undefined) head.push(key ?? null);
  if (meta !== undefined) head.push(meta);
  return `${JSON.stringify(head)}\t${escaped ? JSON.stringify(data) : data}`;
}

function decodeRecord(line: string): StoredEvent {
  const end = line.indexOf("\t");
  const [version, flags, time, type, key, meta] = parsed(line.slice(0, end)) as Head;
  const data = line.slice(end + 1);
  return {
    type,
    data: (flags & IS_ESCAPED) === 0 ? data : (parsed(data) as string),
    json: (flags & IS_JSON) !== 0,
    key: key ?? undefined,
    meta,
    time,
    version,
  };
}

/** @throws EverstreamError `LOG_FAILED` for what no hub has written. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const message =
      "Redis holds what no hub has written: another program writes to the log's keys. Give the log a `name` or `prefix` of its own.";
    throw new EverstreamError("LOG_FAILED", message, { cause });
  }
}

/** What a node finds in its mailbox. */
export interface Message {
  /** Whether the mailbox begins with it. */
  readonly isSync: boolean;
  readonly box: string;
  readonly epoch: number;
  readonly after: number;
  readonly through: number;
  readonly entries: readonly LogEntry[];
}

/** @returns `undefined` for what is no message of this log's. */
export function parseMessage(text: string): Message | undefined {
  const lines = text.split("\n");
  const [kind, box, epoch, after, through] = (lines[0] as string).split(" ");
  if ((kind !== "S" && kind !== "M") || box === undefined || through === undefined) return undefined;
  return {
    isSync: kind === "S",
    box,
    epoch: Number(epoch),
    after: Number(after),
    through: Number(through),
    entries: parseBlocks(lines),
  };
}

/** Appends, each with a line that says what follows: the first sequence, how many events, the mark, the topic as JSON. */
function parseBlocks(lines: readonly string[]): LogEntry[] {
  const entries: LogEntry[] = [];
  for (let at = 1; at < lines.length; ) {
    const match = BLOCK.exec(lines[at++] as string);
    if (match === null) throw new EverstreamError("LOG_FAILED", "Redis pushed what is no append.");
    const [, first, count, mark, name] = match as unknown as [string, string, string, string, string];
    const topic = JSON.parse(name) as string;
    let sequence = Number(first);
    for (let left = Number(count); left > 0; left--) {
      entries.push({
        sequence: sequence++,
        topic,
        kind: "event",
        event: decodeRecord(lines[at++] as string),
      });
    }
    if (mark !== "none") {
      entries.push({ sequence, topic, kind: mark === "finish" ? "finish" : "delete", event: NO_EVENT });
    }
  }
  return entries;
}

const BLOCK = /^(\d+) (\d+) (none|finish|delete) (.*)$/s;

/** A page's entries: two lines each, the topic's place in the query with the sequence, and the record. */
export function parseEntries(text: string, topics: readonly string[]): LogEntry[] {
  if (text === "") return [];
  const lines = text.split("\n");
  const entries: LogEntry[] = [];
  for (let at = 0; at < lines.length; at += 2) {
    const place = lines[at] as string;
    const space = place.indexOf(" ");
    const topic = topics[Number(place.slice(0, space))] as string;
    const event = decodeRecord(lines[at + 1] as string);
    entries.push({ sequence: Number(place.slice(space + 1)), topic, kind: "event", event });
  }
  return entries;
}

/** The epochs as scripts answer with them: `<epoch>:<first>`, the oldest first. */
export function parseEpochs(text: string): Epoch[] {
  return text.split(" ").map((pair) => {
    const [epoch, first] = pair.split(":");
    return { epoch: Number(epoch), first: Number(first) };
  });
}
