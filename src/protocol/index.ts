/**
 * The `text/event-stream` format and the names that everstream's server and client share, and nothing else: no
 * connection, no timer, no import from outside.
 */
export { assertEventId, assertUserEventType, type EventFields, encodeEvent } from "./encode.ts";
export { EVENT_STREAM_HEADERS, EVENT_STREAM_TYPE } from "./headers.ts";
export { encodeLastEventId, readLastEventId } from "./last-event-id.ts";
export { createParser, type EventParser, type ParsedEvent, type ParserOptions } from "./parse.ts";
export { formatPosition, type Position, parsePosition } from "./position.ts";
export {
  DONE_EVENT,
  END_EVENT,
  ERROR_EVENT,
  type ErrorData,
  formatHello,
  GAP_EVENT,
  type GapData,
  type GapReason,
  HEARTBEAT_EVENT,
  type Hello,
  heartbeatOf,
  LAST_EVENT_ID_HEADER,
  LAST_EVENT_ID_PARAMETER,
  LIVE_EVENT,
  MASKED_ERROR,
  PROGRESS_EVENT,
  parseHello,
  RESERVED_PREFIX,
  TOKEN_EVENT,
} from "./wire.ts";
