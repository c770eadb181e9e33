import { EverstreamError } from "../errors.ts";
import { createParser, EVENT_STREAM_TYPE, type ParserOptions } from "../protocol/index.ts";
import { type ConnectionFailure, messageOf } from "./failure.ts";
import type { EventStreamOptions } from "./options.ts";
import { type Attempt, sendRequest } from "./request.ts";
import { parseRetryAfter } from "./retry-after.ts";

/** What one connection tells while it lasts: besides what the parser finds, */
export interface ConnectionHandlers
  extends Pick<ParserOptions, "onEvent" | "onId" | "onRetry" | "onComment"> {
  /** that the answer is an event stream, */
  onOpen(response: Response): void;
  /** and that bytes arrived and have been parsed. More are read when the promise resolves. */
  onRead(): Promise<void>;
}

/** The answer's body that goes into a failure, in bytes. */
const MAX_BODY_BYTES = 2048;
/** How long to wait for that part of the body. */
const BODY_TIMEOUT_MS = 1000;

/**
 * Runs one connection from its request to its end. Never rejects.
 *
 * @returns Why it was lost; `undefined` where the server has nothing more to send, ever (204).
 */
export async function runConnection(
  options: EventStreamOptions,
  attempt: Attempt,
  handlers: ConnectionHandlers,
): Promise<ConnectionFailure | undefined> {
  try {
    const response = await sendRequest(options, attempt);
    if (response.status === 204) return undefined;
    const refusal = await inspect(response);
    // Not every fetch hears of the signal; where it is too late nobody asks for the outcome.
    if (refusal !== undefined || attempt.signal.aborted) return refusal;
    handlers.onOpen(response);
    const parser = createParser({
      ...handlers,
      // The id outlives the connection: a stream that sends none goes on with the one before.
      lastEventId: attempt.lastEventId,
      maxEventBytes: options.maxEventBytes,
    });
    await read(response, attempt.signal, (bytes) => {
      parser.push(bytes);
      return handlers.onRead();
    });
    // What stands after the last blank line is an unfinished event and is dropped (HTML 9.2.6).
    return { code: "STREAM_ENDED", message: "The server ended the response." };
  } catch (cause) {
    const code = cause instanceof EverstreamError ? cause.code : "NETWORK";
    return { code, message: messageOf(cause), cause };
  }
}

/** Reads a body to its end, or until `signal` aborts. Not every fetch ends the body then, so it is cancelled. */
async function read(
  { body }: Response,
  signal: AbortSignal,
  onBytes: (bytes: Uint8Array) => Promise<void> | void,
): Promise<void> {
  const reader = body?.getReader();
  if (reader === undefined) return;
  const cancel = (): void => void reader.cancel().catch(ignore);
  signal.addEventListener("abort", cancel);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done || signal.aborted) return;
      await onBytes(value);
    }
  } finally {
    signal.removeEventListener("abort", cancel);
    cancel();
  }
}

/** Why the answer is no event stream, if it is none. */
async function inspect(response: Response): Promise<ConnectionFailure | undefined> {
  const { status, ok, headers } = response;
  const type = headers.get("Content-Type") ?? "";
  // Whatever follows the essence, as a charset, means nothing: event streams are UTF-8.
  if (ok && type.split(";", 1)[0]?.trim().toLowerCase() === EVENT_STREAM_TYPE) return undefined;
  return {
    code: ok ? "CONTENT_TYPE" : "HTTP_STATUS",
    message: `The server answered ${status} (${type || "no content type"}).`,
    status,
    retryAfterMs: parseRetryAfter(headers.get("Retry-After"), Date.now()),
    body: await readStart(response),
  };
}

/** The first 2 kB of a body, or what of it arrives in time; the rest is cancelled. */
async function readStart(response: Response): Promise<string> {
  const enough = new AbortController();
  const timer = setTimeout(() => enough.abort(), BODY_TIMEOUT_MS);
  const decoder = new TextDecoder();
  let text = "";
  let left = MAX_BODY_BYTES;
  await read(response, enough.signal, (bytes) => {
    text += decoder.decode(bytes.subarray(0, left), { stream: true });
    left = Math.max(0, left - bytes.length);
    if (left === 0) enough.abort();
  }).catch(ignore);
  clearTimeout(timer);
  return text;
}

function ignore(): void {
  // A body that fails while it is let go, or after the status has said what matters, is no news.
}
