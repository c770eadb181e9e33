import { EVENT_STREAM_TYPE, LAST_EVENT_ID_HEADER, LAST_EVENT_ID_PARAMETER } from "../protocol/index.ts";
import type { AnyStreamOptions } from "./options.ts";

/** What belongs to one request alone. */
export interface RequestFacts {
  /** The last event ID to resume after, or the empty string. */
  readonly lastEventId: string;
  /** Whether this is a GET that takes up what another request began; then method and body stay behind. */
  readonly resuming: boolean;
  readonly signal: AbortSignal;
}

/** What travels in a header as it stands, everywhere. How other ids do is loaded where there is one, and only there. */
const PLAIN_ID = /^[!-~]([ -~]{0,4000}[!-~])?$/;

/**
 * What `fetch` is to be called with. Throws what is wrong with the request, which `fetch` would only tell as if the
 * network was lost, each time.
 */
export async function prepareRequest(
  { fetch, method, body, credentials }: AnyStreamOptions,
  { lastEventId, resuming, signal }: RequestFacts,
  url: string,
  given: HeadersInit | undefined,
): Promise<[url: string, init: RequestInit]> {
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
    // An older cursor among the caller's headers must not win over this one.
    headers.delete(LAST_EVENT_ID_HEADER);
    if (PLAIN_ID.test(lastEventId)) headers.set(LAST_EVENT_ID_HEADER, lastEventId);
    else {
      const { placeCursor } = await import("./odd-cursor.ts");
      target = placeCursor(headers, url, lastEventId, [LAST_EVENT_ID_HEADER, LAST_EVENT_ID_PARAMETER]);
    }
  }
  // A custom fetch may know what to do with a relative URL where the runtime does not.
  if (fetch === undefined) new Request(target, init);
  return [target, init];
}
