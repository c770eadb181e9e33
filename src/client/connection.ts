import { EverstreamError, type EverstreamErrorCode } from "../errors.ts";
import { createParser, type ParserOptions } from "../protocol/index.ts";
import { type ConnectionFailure, messageOf } from "./failure.ts";
import type { AnyStreamOptions, PerAttempt } from "./options.ts";
import { placerOf, prepareRequest, type RequestFacts } from "./request.ts";
import { parseRetryAfter } from "./retry-after.ts";

/** What one attempt is made of, besides the stream's options. */
export interface Attempt extends RequestFacts {
  readonly url: PerAttempt<string | URL>;
}

/** What one connection tells while it lasts: besides what the parser finds, */
export interface ConnectionHandlers
  extends Pick<ParserOptions, "onEvent" | "onId" | "onRetry" | "onComment"> {
  /** that the answer is an event stream, and what was asked for it, */
  onOpen(response: Response, url: string): void;
  /** and that bytes arrived and have been parsed. More are read when the promise resolves. */
  onRead(): Promise<void>;
}

let host: Pick<typeof globalThis, "fetch"> = globalThis;

/** For a runtime's own entry: what holds the `fetch` that is used unless another is given. Bundles without it lack this. */
export function setHost(next: typeof host): void {
  host = next;
}

/** The `fetch` that is used unless another is given. */
export function defaultFetch(): typeof globalThis.fetch {
  return host.fetch;
}

/**
 * Runs one connection from its request to its end; the callbacks among the options are asked for it. Never rejects.
 *
 * @returns Why it was lost; `undefined` where the server has nothing more to send, ever (204).
 */
export async function runConnection(
  options: AnyStreamOptions,
  attempt: Attempt,
  handlers: ConnectionHandlers,
): Promise<ConnectionFailure | undefined> {
  const { fetch = host.fetch } = options;
  const { signal } = attempt;
  // What an error at this point means.
  let code: EverstreamErrorCode = "CALLBACK_FAILED";
  try {
    const [url, headers] = await Promise.all([ask(attempt.url), ask(options.headers)]);
    code = "NETWORK";
    const place = await placerOf(attempt.lastEventId);
    code = "INVALID_OPTION";
    const request = prepareRequest(options, attempt, String(url), headers, place);
    code = "NETWORK";
    // Not every fetch hears of the signal; and what was closed while it asked for a token is to do no work.
    if (signal.aborted) return undefined;
    const response = await fetch(...request);
    const { status, ok, headers: facts } = response;
    if (status === 204) return undefined;
    const type = facts.get("Content-Type") ?? "";
    if (!(ok && EVENT_STREAM.test(type))) {
      return {
        code: ok ? "CONTENT_TYPE" : "HTTP_STATUS",
        message: `The answer was ${status} (${type}).`,
        status,
        retryAfterMs: parseRetryAfter(facts.get("Retry-After"), Date.now()),
        ...(await explain(response)),
      };
    }
    // Where it is too late nobody asks for the outcome, and the body is let go below.
    if (!signal.aborted) handlers.onOpen(response, request[0]);
    // Its bound is an option. The last event ID, the attempt's, outlives connections: a stream that sends none goes on
    // with the one before.
    const parser = createParser({ ...options, ...attempt, ...handlers });
    await read(response, signal, (bytes) => {
      parser.push(bytes);
      return handlers.onRead();
    });
    // What stands after the last blank line is an unfinished event and is dropped (HTML 9.2.6).
    return { code: "STREAM_ENDED", message: "The answer ended." };
  } catch (cause) {
    if (cause instanceof EverstreamError) code = cause.code;
    return { code, message: messageOf(cause), cause };
  }
}

/** The value, or what its function gives. */
export function ask<T>(value: PerAttempt<T>): T | Promise<T> {
  return typeof value === "function" ? (value as () => T | Promise<T>)() : value;
}

/**
 * Reads a body to its end, or until `onBytes` says `true` or throws. Not every fetch ends the body when `signal` aborts, so
 * it is cancelled then, also where that was before, or comes after the reading.
 *
 * @param signal One of this body alone, which aborts in the end.
 */
export async function read(
  { body }: Pick<Response, "body">,
  signal: AbortSignal,
  onBytes: (bytes: Uint8Array) => Promise<void> | boolean,
): Promise<void> {
  const reader = body?.getReader();
  if (!reader) return;
  const cancel = (): void => void reader.cancel().catch(ignore);
  signal.addEventListener("abort", cancel);
  if (signal.aborted) cancel();
  for (;;) {
    const { done, value } = await reader.read();
    if (done || (await onBytes(value))) return;
  }
}

/** The content types of event streams. What follows the essence, as a charset, means nothing: it is UTF-8. */
export const EVENT_STREAM = /^text\/event-stream\s*(;|$)/i;

/** What an answer says for itself, where it is no event stream. What can't be loaded is not told. */
export function explain(response: Response): Promise<Partial<ConnectionFailure> | undefined> {
  return import("./refusal.ts").then((loaded) => loaded.explain(response, read), ignore);
}

export function ignore(): undefined {
  // A body that fails while it is let go, or after the status has said what matters, is no news.
}
