import { EVENT_STREAM_TYPE } from "../protocol/index.ts";

/**
 * Whether a header that was set before the stream's stays. All do, but for a content type that is none of an event
 * stream's: every client would refuse the stream.
 */
export function keepsOwnHeader(name: string, own: unknown): boolean {
  if (own === undefined || own === null) return false;
  return name !== "Content-Type" || String(own).toLowerCase().startsWith(EVENT_STREAM_TYPE);
}
