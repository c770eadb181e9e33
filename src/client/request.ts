import { EverstreamError, type EverstreamErrorCode } from "../errors.ts";
import {
  EVENT_STREAM_TYPE,
  encodeLastEventId,
  LAST_EVENT_ID_HEADER,
  LAST_EVENT_ID_PARAMETER,
} from "../protocol/index.ts";
import { messageOf } from "./failure.ts";
import type { EventStreamOptions, PerAttempt } from "./options.ts";

/** What one attempt sends. */
export interface Attempt {
  readonly url: PerAttempt<string | URL>;
  /** The last event ID to resume after, or the empty string. */
  readonly lastEventId: string;
  /** Whether this is a GET that takes up what another request began; then method and body stay behind. */
  readonly resuming: boolean;
  readonly signal: AbortSignal;
}

/**
 * Sends one request; the callbacks among the options are asked for this one.
 *
 * Rejects with `CALLBACK_FAILED` where a callback failed, with `INVALID_OPTION` where the runtime refuses the request
 * before sending it, and with what `fetch` threw where there was no answer.
 */
export async function sendRequest(options: EventStreamOptions, attempt: Attempt): Promise<Response> {
  const [url, headers] = await failingWith("CALLBACK_FAILED", () =>
    Promise.all([ask(attempt.url), ask(options.headers)]),
  );
  const request = await failingWith("INVALID_OPTION", () =>
    prepare(options, attempt, String(url), new Headers(headers)),
  );
  // Not as a method: the global one refuses to be one of our options.
  return (options.fetch ?? globalThis.fetch)(...request);
}

function ask<T>(value: PerAttempt<T>): T | Promise<T> {
  return typeof value === "function" ? (value as () => T | Promise<T>)() : value;
}

async function failingWith<T>(code: EverstreamErrorCode, run: () => T | Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    throw new EverstreamError(code, messageOf(cause), { cause });
  }
}

/** Throws what is wrong with the request, which `fetch` would only tell as if the network was lost, each time. */
function prepare(
  { fetch, method, body, credentials }: EventStreamOptions,
  { lastEventId, resuming, signal }: Attempt,
  url: string,
  headers: Headers,
): [url: string, init: RequestInit] {
  // To fetch, what is undefined is not there.
  const init = {
    headers,
    signal,
    cache: "no-store",
    credentials,
    ...(!resuming && { method, body }),
  } as RequestInit;
  let target = url;
  if (!headers.has("Accept")) headers.set("Accept", EVENT_STREAM_TYPE);
  if (lastEventId !== "") {
    const encoded = encodeLastEventId(lastEventId);
    // An older cursor among the caller's headers must not win over this one.
    headers.delete(LAST_EVENT_ID_HEADER);
    if (encoded === undefined) target = withCursor(url, lastEventId);
    else headers.set(LAST_EVENT_ID_HEADER, encoded);
  }
  // A custom fetch may know what to do with a relative URL where the runtime does not.
  if (fetch === undefined) new Request(target, init);
  return [target, init];
}

/** `url` with the cursor as its query parameter, in place of an older one. URLs may be relative. */
function withCursor(url: string, lastEventId: string): string {
  return url.replace(/(\?[^#]*)?(#.*)?$/, (_, search: string | undefined, hash = "") => {
    const query = new URLSearchParams(search);
    query.set(LAST_EVENT_ID_PARAMETER, lastEventId);
    return `?${query}${hash}`;
  });
}
