/** Last event IDs, those among them that no header carries as they stand. Streams load it where they have one, and only there. */
import {
  encodeLastEventId,
  type LAST_EVENT_ID_HEADER,
  type LAST_EVENT_ID_PARAMETER,
} from "../protocol/index.ts";

// The types prove that these are the protocol's. Bundlers would split its own off into a third file.
const HEADER = "Last-Event-ID" satisfies typeof LAST_EVENT_ID_HEADER;
const PARAMETER = "lastEventId" satisfies typeof LAST_EVENT_ID_PARAMETER;

/** Puts the cursor into the headers, if they can carry it, or else into the query. Returns the URL to ask for. */
export function placeCursor(headers: Headers, url: string, lastEventId: string): string {
  const encoded = encodeLastEventId(lastEventId);
  headers.delete(HEADER);
  if (encoded === undefined) return withCursor(url, lastEventId);
  headers.set(HEADER, encoded);
  return url;
}

/** `url` with the cursor as its query parameter, in place of an older one. URLs may be relative; no server sees a fragment. */
function withCursor(url: string, lastEventId: string): string {
  return url.replace(/(\?[^#]*)?(#.*)?$/, (_, search: string | undefined) => {
    const query = new URLSearchParams(search);
    query.set(PARAMETER, lastEventId);
    return `?${query}`;
  });
}
