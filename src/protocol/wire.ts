/**
 * Every name by which everstream's server and client know each other on the wire. What stands here is a promise to
 * clients of older versions: add, but never rename.
 */

/** Event types that begin so are everstream's own; users' are refused with `RESERVED_TYPE`. */
export const RESERVED_PREFIX = "sse:";

/**
 * The type of a checkpoint: `event: sse:live`, an `id` and an empty `data`. It hands the client its position and
 * nobody listens for it. A block of `id` alone would do by the standard, but Firefox does not keep its id.
 */
export const LIVE_EVENT = "sse:live";

/**
 * The type of the last event of a stream all of whose topics are finished: nothing more will come. Its `id` is the
 * position to come back with, which is answered by 204; its data is `{}`, with room for what later versions add.
 */
export const END_EVENT = "sse:end";

/** The type of the event that says that events are missing here; its data is {@link GapData} as JSON, it has no id. */
export const GAP_EVENT = "sse:gap";

/** The type of the event that ends a failed stream; its data is {@link ErrorData} as JSON. */
export const ERROR_EVENT = "error";

/** The type of the event that says that the stream ended well and nothing more will come. */
export const DONE_EVENT = "done";

/** The type of an event that carries a piece of generated text: `{"content": "…"}`. */
export const TOKEN_EVENT = "token";

/** The type of an event that tells how far long work has come. */
export const PROGRESS_EVENT = "progress";

/** The default type of visible heartbeats, where these are asked for instead of comments. */
export const HEARTBEAT_EVENT = "heartbeat";

/** The header in which a returning client sends the last id it saw, as UTF-8 (HTML 9.2.4). */
export const LAST_EVENT_ID_HEADER = "Last-Event-ID";

/** The query parameter that stands in for `Last-Event-ID` where no header can be set, as at a first opening. */
export const LAST_EVENT_ID_PARAMETER = "lastEventId";

/**
 * Why events can't be delivered.
 *
 * - `trimmed`: retention has removed them; the stream goes on at the oldest event kept.
 * - `epoch`: the log that gave out the cursor is gone; the stream goes on as at a first opening.
 * - `overflow`: the client was too slow, and its topic's policy dropped them.
 * - `deleted`: the topic was erased.
 * - `invalid`: the cursor was never given out here; the stream goes on as at a first opening.
 */
export type GapReason = "trimmed" | "epoch" | "overflow" | "deleted" | "invalid";

/** The data of an `sse:gap` event: nothing between the positions `after` and `next` was delivered. */
export interface GapData {
  /** The topic that misses events; all of the stream's topics where it is left out. */
  topic?: string;
  reason: GapReason;
  /** The last position before the gap: the cursor that the client came with. */
  after: string;
  /** The position of the next event that will be delivered, or the head of the log. */
  next: string;
}

/** The data of an `error` event. */
export interface ErrorData {
  /** A stable code: match on it, not on the message. */
  code: string;
  message: string;
}

/** What a client learns of a server's error that nobody chose to explain: that there was one. */
export const MASKED_ERROR: Readonly<ErrorData> = /* @__PURE__ */ Object.freeze({
  code: "INTERNAL_ERROR",
  message: "Internal error",
});

/** What a server announces of itself in the comment that opens a stream. */
export interface Hello {
  /** The longest silence on a living connection, in milliseconds; 0 where there is no heartbeat. */
  heartbeatMs: number;
}

// At most 9 digits, 11 days, so that the figure fits the 32 bits of a timer. Words that a later version adds are skipped.
const HEARTBEAT = /^everstream(?: .*)? heartbeat=(\d{1,9})( |$)/;

/** The text of the opening comment, as `everstream heartbeat=15000`. Fractions of a millisecond are rounded up. */
export function formatHello({ heartbeatMs }: Hello): string {
  return `everstream heartbeat=${Math.ceil(heartbeatMs)}`;
}

/** Reads a comment's text; `undefined` where it is any other comment, as those of foreign servers. */
export function parseHello(comment: string): Hello | undefined {
  const heartbeatMs = heartbeatOf(comment);
  return heartbeatMs === undefined ? undefined : { heartbeatMs };
}

/** The heartbeat that a comment announces, as {@link Hello} has it. */
export function heartbeatOf(comment: string): number | undefined {
  const digits = HEARTBEAT.exec(comment)?.[1];
  return digits ? Number(digits) : undefined;
}
