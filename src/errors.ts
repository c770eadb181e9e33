/**
 * Every code that everstream's errors carry. Codes are stable: match on them, not on messages.
 *
 * - `INVALID_EVENT`: an event's field holds what the wire format has no escape for.
 * - `RESERVED_TYPE`: the event type begins with `sse:`, which is kept for everstream's own events.
 * - `EVENT_TOO_LARGE`: one event is over the limit in bytes (parser, publish).
 * - `PARSER_ENDED`: the parser was used after its end or after it failed.
 * - `STREAM_ENDED`: the stream has ended; nothing can be sent any more.
 * - `CALLBACK_FAILED`: a callback failed, or threw a value that is no Error; that is the `cause`.
 * - `INVALID_OPTION`: an option's value can't be used; the message names it and what would do.
 * - `INVALID_TOPIC`: a topic's name is empty, too long, or no string.
 * - `TOO_MANY_TOPICS`: one request asks for more topics than the limit.
 * - `CONFLICT`: a conditional publish found that the topic had moved on.
 * - `TOPIC_FINISHED`: nothing can be published there any more.
 * - `FORBIDDEN`: the client may not read this. `RIGHTS_EXPIRED`: it might, but no longer.
 * - `TOO_MANY_SESSIONS`: the hub, or the session's key, has as many open as it may have.
 * - `INVALID_POSITION`: a cursor that this hub never gave out.
 * - `HUB_CLOSED`, `LOG_CLOSED`: it was used after `close()`.
 * - `LOG_FAILED`: the log could not store or read; the `cause` says why.
 * - `LOG_UNSUITABLE`: the log's server can be reached and can't be used as it is: the message says what to change.
 * - `NOT_REPLICATED`: the log has stored the event, and may have shown it, but not on as many servers as was asked for.
 * - `LOG_LOCKED`: the log's folder is open already, in another process or through another log.
 * - `NOT_SERIALIZABLE`: `data` has no JSON form.
 * - `UNKNOWN_TYPE`: the hub's `events` do not define this event type.
 * - `HTTP_STATUS`, `CONTENT_TYPE`, `NETWORK`, `TIMEOUT`, `STALLED`: why a client's connection failed (`NETWORK`: or a provider's).
 * - `NOT_RESUMABLE`: the connection is gone and repeating the request would repeat its work.
 * - `SERVER_ERROR`: the server sent an `error` event; its data is the `cause`.
 * - `INVALID_DATA`: an event's data is not what its type promises: it is no JSON, or its schema refuses it.
 * - `OVERFLOW`: the reader fell too far behind and asked for an error then.
 * - `UNKNOWN_RUN`, `RUN_EXPIRED`: there is no run of this id; there was one, and it is no longer kept.
 * - `RUN_BUSY`: another run has the same `key`.
 * - `PROVIDER_FAILED`: a model's provider said within its stream that it failed; what it said is the `cause`.
 * - `UNSUPPORTED_CHUNK`: a provider's stream yielded something that is not known to hold text.
 */
export type EverstreamErrorCode =
  | "INVALID_EVENT"
  | "RESERVED_TYPE"
  | "EVENT_TOO_LARGE"
  | "PARSER_ENDED"
  | "STREAM_ENDED"
  | "CALLBACK_FAILED"
  | "INVALID_OPTION"
  | "INVALID_TOPIC"
  | "TOO_MANY_TOPICS"
  | "CONFLICT"
  | "TOPIC_FINISHED"
  | "FORBIDDEN"
  | "RIGHTS_EXPIRED"
  | "TOO_MANY_SESSIONS"
  | "INVALID_POSITION"
  | "HUB_CLOSED"
  | "LOG_CLOSED"
  | "LOG_FAILED"
  | "LOG_UNSUITABLE"
  | "NOT_REPLICATED"
  | "LOG_LOCKED"
  | "NOT_SERIALIZABLE"
  | "UNKNOWN_TYPE"
  | "HTTP_STATUS"
  | "CONTENT_TYPE"
  | "NETWORK"
  | "TIMEOUT"
  | "STALLED"
  | "NOT_RESUMABLE"
  | "SERVER_ERROR"
  | "INVALID_DATA"
  | "OVERFLOW"
  | "UNKNOWN_RUN"
  | "RUN_EXPIRED"
  | "RUN_BUSY"
  | "PROVIDER_FAILED"
  | "UNSUPPORTED_CHUNK";

/** The one error class of this package. `code` says which failure, `message` says what to do about it. */
export class EverstreamError extends Error {
  override readonly name = "EverstreamError";
  readonly code: EverstreamErrorCode;

  constructor(code: EverstreamErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
  }
}

/** Whether `error` is an {@link EverstreamError} (of that code, if given). Works across copies of the package. */
export function isEverstreamError(error: unknown, code?: EverstreamErrorCode): error is EverstreamError {
  if (!(error instanceof Error) || error.name !== "EverstreamError") return false;
  return code === undefined || (error as EverstreamError).code === code;
}

/** The error for an option that can't be used; `message` says what to give. */
export function invalidOption(message: string): EverstreamError {
  return new EverstreamError("INVALID_OPTION", message);
}
