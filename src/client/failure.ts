import { EverstreamError, type EverstreamErrorCode, isEverstreamError } from "../errors.ts";

/**
 * Why a connection could not be opened, or was lost: plain data, as it stands in a stream's status. Where it ends the
 * stream it is the `cause` of the `EverstreamError` that is thrown; {@link failureOf} reads it from there.
 *
 * - `HTTP_STATUS`, `CONTENT_TYPE`: the server answered, but not with an event stream; see `status` and `body`.
 * - `NETWORK`: no answer, or the connection broke.
 * - `STREAM_ENDED`: the server ended the response in good order.
 * - `TIMEOUT`: no answer within `connectTimeout`. `STALLED`: no heartbeat when it was due.
 * - `CALLBACK_FAILED`: a callback among the options failed, with `cause`.
 * - `EVENT_TOO_LARGE`: one event was over `maxEventBytes`. `OVERFLOW`: the loop asked for an error when too slow.
 * - `INVALID_OPTION`: the request can't be made; its URL, method or a header is not valid.
 * - `NOT_RESUMABLE`: lost, and sending the request again would repeat its work; `cause` is the failure behind it.
 */
export interface ConnectionFailure {
  readonly code: EverstreamErrorCode;
  readonly message: string;
  /** The HTTP status, where the server answered. */
  readonly status?: number | undefined;
  /** The first 2 kB of the answer's body, as text. */
  readonly body?: string | undefined;
  /** What the answer's `Retry-After` asks for, in milliseconds from its arrival. */
  readonly retryAfterMs?: number | undefined;
  /** What the runtime or a callback threw, or the failure behind this one. */
  readonly cause?: unknown;
}

/** The error that stands for `failure` where one is thrown; `failure` is its `cause`. */
export function toError(failure: ConnectionFailure): EverstreamError {
  return new EverstreamError(failure.code, failure.message, { cause: failure });
}

/** The failure behind an error that a stream threw: HTTP status, body, retry time. */
export function failureOf(error: unknown): ConnectionFailure | undefined {
  const cause = isEverstreamError(error) ? error.cause : undefined;
  if (typeof cause !== "object" || cause === null || cause instanceof Error) return undefined;
  return "code" in cause && "message" in cause ? (cause as ConnectionFailure) : undefined;
}

/** The message of anything that can be thrown. */
export function messageOf(thrown: unknown): string {
  return String((thrown as { message?: unknown } | null | undefined)?.message ?? thrown);
}

/**
 * Runs a user's callback. What it throws is reported and harms neither the stream nor other callbacks: like an error
 * in an event listener it goes to `window.onerror` where there is one, else to the console.
 */
export function safely(callback: () => void): void {
  try {
    callback();
  } catch (error) {
    (globalThis.reportError ?? console.error)(error);
  }
}
