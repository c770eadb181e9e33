import { EverstreamError } from "../errors.ts";
import { type NamesOf, unknownName } from "../input.ts";
import { assertUserEventType, encodeEvent, GAP_EVENT, type GapData } from "../protocol/index.ts";
import type { Defined, EventSchemas, EventToPublish, InputOf } from "../schema/index.ts";
import { jsonOf } from "../session/text-of-data.ts";
import { type LogEntry, MAX_BATCH, STORED_VERSION, type StoredEvent } from "./log.ts";

/** An event to publish. */
export interface PublishedEvent {
  /** The event type. Default: `message`. Types that begin with `sse:` are refused. */
  type?: string;
  /** Any value that has a JSON form, in which it is sent. */
  data?: unknown;
  /** In place of `data`: text that is sent as it is. With neither, the data is empty. */
  text?: string;
  /** What the event is about; for consumers who want only the latest of each key. At most 256 characters. */
  key?: string;
  /** Notes for those who read the event in this or another server. Clients do not see them. */
  meta?: Readonly<Record<string, string>>;
}

/** An event as it is read inside the server. */
export interface HubEvent {
  /**
   * Its position, to go on after. An `sse:gap` has that of the last event before the gap, so that whoever stores it
   * loses nothing.
   */
  readonly id: string;
  /** Empty for an `sse:gap` that concerns all topics. */
  readonly topic: string;
  readonly type: string;
  /** What was published as `data`, or as `text`; of an `sse:gap`, its `GapData`. Each reader gets a copy. */
  readonly data: unknown;
  readonly key: string | undefined;
  /** When it was published, in milliseconds as `Date.now()` gives them; of an `sse:gap`, when it was found. */
  readonly time: number;
  readonly meta: Readonly<Record<string, string>>;
}

/** What can be published to a hub whose `events` are `E`: with the types and the data that it defines, else anything. */
export type PublishedEventOf<E extends Defined> =
  E extends EventSchemas<infer M>
    ? {
        [T in keyof M & string]: EventToPublish<T, M[T]> & Pick<PublishedEvent, "key" | "meta">;
      }[keyof M & string]
    : PublishedEvent;

/**
 * What is read inside the server from a hub whose `events` are `E`. Data is what was published, before a schema makes
 * anything of it; an event that was published without data has the empty string.
 */
export type HubEventOf<E extends Defined> =
  E extends EventSchemas<infer M>
    ?
        | { [T in keyof M & string]: Typed<T, Received<InputOf<M[T]>>> }[keyof M & string]
        | Typed<typeof GAP_EVENT, GapData>
    : HubEvent;

type Typed<T extends string, D> = Omit<HubEvent, "type" | "data"> & { readonly type: T; readonly data: D };
type Received<D> = undefined extends D ? Exclude<D, undefined> | "" : D;

const EVENT_NAMES: NamesOf<PublishedEvent> = { type: true, data: true, text: true, key: true, meta: true };
/** Names that events have elsewhere, and what is meant by them here. */
const ELSEWHERE: Readonly<Record<string, string>> = {
  event: "the event's type is `type`",
  id: "the log gives ids, and `publishId` in the options lets a publish be repeated",
  topic: "the topic is the first argument",
};

/** The type that events without one have. */
export const DEFAULT_TYPE = "message";
const MAX_KEY_LENGTH = 256;
/** What a block has beside type and data, at the most. */
const BLOCK_OVERHEAD = 100;
const LONGEST_ID = "z".repeat(23);
const NO_META: Readonly<Record<string, string>> = Object.freeze({});

const encoder = /* @__PURE__ */ new TextEncoder();

/**
 * Checks events to publish and brings them into the form in which they are stored.
 *
 * @throws EverstreamError `INVALID_EVENT`, `RESERVED_TYPE`, `NOT_SERIALIZABLE`, `EVENT_TOO_LARGE`.
 */
export function storedEvents(
  events: readonly PublishedEvent[],
  maxBytes: number,
  time: number,
): readonly StoredEvent[] {
  if (events.length === 0) throw invalid("There is no event to publish.");
  if (events.length > MAX_BATCH) {
    throw invalid(`A batch holds at most ${MAX_BATCH} events, but this one has ${events.length}.`);
  }
  return events.map((event) => storedEvent(event, maxBytes, time));
}

/** The event of an entry, for a reader in this process. Throws where `data` is no JSON though it should be. */
export function hubEvent({ event, topic }: LogEntry, id: string): HubEvent {
  const { type, data, json, key, time, meta = NO_META } = event;
  return { id, topic, type, data: json ? JSON.parse(data) : data, key, time, meta };
}

/** The event that tells a reader in this process of a gap. */
export function gapEvent(gap: GapData): HubEvent {
  const { topic = "", after } = gap;
  return {
    id: after,
    topic,
    type: GAP_EVENT,
    data: { ...gap },
    key: undefined,
    time: Date.now(),
    meta: NO_META,
  };
}

function storedEvent(input: PublishedEvent, maxBytes: number, time: number): StoredEvent {
  if (typeof input !== "object" || input === null) {
    throw invalid("An event must be an object with `type`, `data` or `text`.");
  }
  const strange = unknownName(input, EVENT_NAMES);
  if (strange !== undefined) throw strangeName(strange);
  const { type = DEFAULT_TYPE, key, meta } = input;
  assertUserEventType(type);
  if (key !== undefined && (typeof key !== "string" || key.length > MAX_KEY_LENGTH)) {
    throw invalid(`\`key\` must be a string of at most ${MAX_KEY_LENGTH} characters.`);
  }
  if (meta !== undefined) assertMeta(meta);
  const json = input.text === undefined && input.data !== undefined;
  const data = json ? jsonOf(input.data) : textOf(input);
  assertSize(type, data, meta, maxBytes);
  return { type: type === "" ? DEFAULT_TYPE : type, data, json, key, meta, time, version: STORED_VERSION };
}

function strangeName(name: string): EverstreamError {
  const names = Object.keys(EVENT_NAMES).join(", ");
  const hint = Object.hasOwn(ELSEWHERE, name) ? `: ${ELSEWHERE[name]}` : "";
  return invalid(`An event to publish has no \`${name}\`, only ${names}${hint}.`);
}

function textOf({ text = "", data }: PublishedEvent): string {
  if (data !== undefined) throw invalid("Give `data` or `text`, not both.");
  if (typeof text !== "string") throw invalid("`text` must be a string; `data` takes any JSON value.");
  return text;
}

function assertMeta(meta: unknown): void {
  const isRecord = typeof meta === "object" && meta !== null && !Array.isArray(meta);
  if (!isRecord || !Object.values(meta).every((value) => typeof value === "string")) {
    throw invalid("`meta` must be an object whose values are strings.");
  }
}

/** Bounds what an event takes on the wire, since that is what clients bound; with its notes, which logs keep as well. */
function assertSize(type: string, data: string, meta: PublishedEvent["meta"], maxBytes: number): void {
  const notes = meta === undefined ? "" : Object.entries(meta).flat().join("");
  // A unit takes at most three bytes, or, as a line break, seven: most events need no counting.
  if (type.length + data.length + notes.length < (maxBytes - BLOCK_OVERHEAD) / 7) return;
  const block = encodeEvent({ event: type, data, id: LONGEST_ID });
  const bytes = encoder.encode(block).length + encoder.encode(notes).length;
  if (bytes <= maxBytes) return;
  throw new EverstreamError(
    "EVENT_TOO_LARGE",
    `The event takes up to ${bytes} bytes, but may take ${maxBytes}; send less, or raise \`limits.maxEventBytes\` and the clients' bound.`,
  );
}

function invalid(message: string): EverstreamError {
  return new EverstreamError("INVALID_EVENT", message);
}
