import type { Pending } from "./pending.ts";

/** As many entries as a message has places for. */
const MAX_ENTRIES = 1001;
/** What a message's headers take, about; ids come on top. */
export const HEADERS_CHARS = 1000;
const MAX_CARRIED_CHARS = 16 * 1024;

/** How much of the ids of what it erases a message carries on. */
export function maxCarriedChars(maxPayload: number): number {
  return Math.min(MAX_CARRIED_CHARS, maxPayload / 4);
}

/** As many of those that wait as go into one message, and at least one. */
export function batchOf(queue: readonly Pending[], maxPayload: number): readonly Pending[] {
  const max = maxPayload - HEADERS_CHARS;
  let entries = 0;
  let chars = 0;
  const end = queue.findIndex((pending) => {
    const { events, mark, publishId } = pending.request;
    entries += events.length + (mark === undefined ? 0 : 1);
    chars += pending.chars + 6 * (publishId?.length ?? 0);
    if (mark === "delete") chars += maxCarriedChars(maxPayload);
    return entries > MAX_ENTRIES || chars > max;
  });
  return end === -1 ? [...queue] : queue.slice(0, Math.max(1, end));
}
