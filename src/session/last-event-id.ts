import { LAST_EVENT_ID_PARAMETER, readLastEventId } from "../protocol/index.ts";

/** A request's cursor: its header's, or, for openings that can set no header, its query's. */
export function lastEventIdOf(header: string | null | undefined, url: string): string | undefined {
  const cursor = readLastEventId(header);
  if (cursor !== undefined) return cursor;
  const query = url.indexOf("?");
  if (query === -1 || !url.includes(LAST_EVENT_ID_PARAMETER, query)) return undefined;
  return new URLSearchParams(url.slice(query).replace(/#.*$/, "")).get(LAST_EVENT_ID_PARAMETER) || undefined;
}
