/** Last event IDs, those among them that no header carries as they stand. Streams load it where they have one, and only there. */
import { encodeLastEventId } from "../protocol/index.ts";

/**
 * Puts the cursor into the headers, if they can carry it, or else into the query. Returns the URL to ask for.
 *
 * @param names Those of the header and of the parameter. They are given and not imported: bundlers would split them off
 *   into a third file.
 */
export function placeCursor(
  headers: Headers,
  url: string,
  lastEventId: string,
  [header, parameter]: readonly [string, string],
): string {
  const encoded = encodeLastEventId(lastEventId);
  if (encoded === undefined) return withCursor(url, lastEventId, parameter);
  headers.set(header, encoded);
  return url;
}

/** `url` with the cursor as its query parameter, in place of an older one. URLs may be relative; no server sees a fragment. */
function withCursor(url: string, lastEventId: string, parameter: string): string {
  return url.replace(/(\?[^#]*)?(#.*)?$/, (_, search: string | undefined) => {
    const query = new URLSearchParams(search);
    query.set(parameter, lastEventId);
    return `?${query}`;
  });
}
