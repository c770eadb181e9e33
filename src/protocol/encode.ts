import { EverstreamError } from "../errors.ts";
import { RESERVED_PREFIX } from "./wire.ts";

/** The fields of one block of an event stream. What is `undefined` is not written. */
export interface EventFields {
  /** The event type; without it, or when it is empty, clients see `message`. No CR or LF. */
  event?: string | undefined;
  /** The payload, any text. Its lines, ended by CRLF, CR or LF, all reach the client ended by LF. */
  data?: string | undefined;
  /** The last event ID that the block sets; the empty string resets it. No CR, LF or NUL. */
  id?: string | undefined;
  /** The reconnection time in milliseconds, a whole number from 0 up. */
  retry?: number | undefined;
  /** Text that clients' listeners never see; each of its lines becomes a comment line of its own. */
  comment?: string | undefined;
}

const END_OF_LINE = /\r\n|\r|\n/g;

/**
 * Encodes one block of an event stream: comments, then `event`, `data`, `id`, `retry`, then the blank line.
 *
 * A block without `data` fires no event at the client (HTML 9.2.6): with an `id` it moves the last event ID, with
 * a `comment` it keeps the connection alive. A lone surrogate is left as it is and so becomes U+FFFD when the
 * string is encoded as UTF-8, as with everything else that `TextEncoder` sees.
 *
 * @throws EverstreamError `INVALID_EVENT`: there is nothing to send, a field has the wrong type, or it holds
 *   characters that the format has no escape for.
 */
export function encodeEvent(fields: EventFields): string {
  // Who has no types may give nothing at all.
  const { event, data, id, retry, comment } = fields ?? {};
  let block = "";
  if (comment !== undefined) block = encodeLines(": ", comment, "comment");
  if (event !== undefined) {
    assertSingleLine(event, "event");
    if (event !== "") block = `${block}event: ${event}\n`;
  }
  if (data !== undefined) block += encodeLines("data: ", data, "data");
  if (id !== undefined) {
    assertEventId(id);
    block = `${block}id: ${id}\n`;
  }
  if (retry !== undefined) {
    if (!Number.isSafeInteger(retry) || retry < 0) {
      throw invalid("`retry` must be a whole number of milliseconds, 0 or more.");
    }
    block = `${block}retry: ${retry}\n`;
  }
  if (block === "") {
    throw invalid("There is nothing to send: give at least one of data, event, id, retry, comment.");
  }
  return `${block}\n`;
}

/**
 * Checks an event type that a user chose, before it goes anywhere: types that begin with `sse:` belong to
 * everstream itself. The encoder allows them, since it writes those too.
 *
 * @throws EverstreamError `RESERVED_TYPE` or, where the format could not carry it, `INVALID_EVENT`.
 */
export function assertUserEventType(type: string): void {
  assertSingleLine(type, "event");
  if (type.startsWith(RESERVED_PREFIX)) {
    throw new EverstreamError(
      "RESERVED_TYPE",
      `The event type ${JSON.stringify(type)} begins with "${RESERVED_PREFIX}", which is kept for everstream's own events; choose another name.`,
    );
  }
}

/**
 * Checks that `id` can be an event's id on the wire.
 *
 * @throws EverstreamError `INVALID_EVENT`.
 */
export function assertEventId(id: string): void {
  assertSingleLine(id, "id");
  // A client ignores an id with NUL (HTML 9.2.6), so that the event would arrive with its predecessor's.
  if (id.includes("\0"))
    throw invalid("`id` holds a NUL, for which clients ignore it; remove it or encode the id.");
}

/** One prefixed line for each line of `text`. Two native searches are the whole cost of the usual single line. */
function encodeLines(prefix: string, text: string, field: string): string {
  assertString(text, field);
  if (!text.includes("\n") && !text.includes("\r")) return `${prefix}${text}\n`;
  return `${prefix}${text.replace(END_OF_LINE, `\n${prefix}`)}\n`;
}

function assertSingleLine(value: string, field: string): void {
  assertString(value, field);
  if (value.includes("\n") || value.includes("\r")) {
    throw invalid(
      `\`${field}\` holds a line break, which would forge further fields; remove it or encode the value.`,
    );
  }
}

function assertString(value: unknown, field: string): void {
  if (typeof value === "string") return;
  const what = value === null ? "null" : typeof value;
  throw invalid(
    `\`${field}\` must be a string, but is ${what}; convert it first, objects with JSON.stringify.`,
  );
}

function invalid(message: string): EverstreamError {
  return new EverstreamError("INVALID_EVENT", message);
}
