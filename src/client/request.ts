import {
  EVENT_STREAM_TYPE,
  encodeLastEventId,
  LAST_EVENT_ID_HEADER,
  LAST_EVENT_ID_PARAMETER,
} from "../protocol/index.ts";
import type { AnyStreamOptions } from "./options.ts";

/** What belongs to one request alone. */
export interface RequestFacts {
  /** The last event ID to resume after, or the empty string. */
  readonly lastEventId: string;
  /** Whether this is a GET that takes up what another request began; then method and body stay behind. */
  readonly resuming: boolean;
  readonly signal: AbortSignal;
}

/**
 * What `fetch` is to be called with. Throws what is wrong with the request, which `fetch` would only tell as if the
 * network was lost, each time.
 */
export function prepareRequest(
  { fetch, method, body, credentials }: AnyStreamOptions,
  { lastEventId, resuming, signal }: RequestFacts,
  url: string,
  given: HeadersInit | undefined,
): [url: string, init: RequestInit] {
  const headers = new Headers(given);
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

/** `url` with the cursor as its query parameter, in place of an older one. URLs may be relative; no server sees a fragment. */
function withCursor(url: string, lastEventId: string): string {
  return url.replace(/(\?[^#]*)?(#.*)?$/, (_, search: string | undefined) => {
    const query = new URLSearchParams(search);
    query.set(LAST_EVENT_ID_PARAMETER, lastEventId);
    return `?${query}`;
  });
}
