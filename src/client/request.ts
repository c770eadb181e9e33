import { EVENT_STREAM_TYPE, LAST_EVENT_ID_HEADER } from "../protocol/index.ts";
import type { placeCursor } from "./odd-cursor.ts";
import type { AnyStreamOptions, HeadersInput } from "./options.ts";

/** What belongs to one request alone. */
export interface RequestFacts {
  /** The last event ID to resume after, or the empty string. */
  readonly lastEventId: string;
  /** Whether this is a GET that takes up what another request began; then method and body stay behind. */
  readonly resuming: boolean;
  readonly signal: AbortSignal;
}

/** What does not travel in a header as it stands, everywhere. */
const ODD_ID = /[^ -~]|^ | $|^.{4001}/;

/** How another id travels, in place of an older one among the headers: loaded where there is one, and only there. */
export async function placerOf(lastEventId: string): Promise<typeof placeCursor | undefined> {
  return ODD_ID.test(lastEventId) ? (await import("./odd-cursor.ts")).placeCursor : undefined;
}

/**
 * What `fetch` is to be called with. Throws what is wrong with the request, which `fetch` would only tell as if the
 * network was lost, each time.
 *
 * @param place How the last event ID is sent, see {@link placerOf}.
 */
export function prepareRequest(
  { fetch, method, body, credentials }: AnyStreamOptions,
  { lastEventId, resuming, signal }: RequestFacts,
  url: string,
  given: HeadersInput | undefined,
  place: typeof placeCursor | undefined,
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
  // An older cursor among the caller's headers does not win over this one.
  if (place) target = place(headers, url, lastEventId);
  else if (lastEventId) headers.set(LAST_EVENT_ID_HEADER, lastEventId);
  // A custom fetch may know what to do with a relative URL where the runtime does not.
  if (!fetch) new Request(target, init);
  return [target, init];
}
