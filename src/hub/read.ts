import type { Epochs } from "./epochs.ts";
import { noPosition } from "./errors.ts";
import { type HubEvent, hubEvent } from "./event.ts";
import type { Live } from "./live.ts";
import { MAX_BATCH } from "./log.ts";
import type { ReadOptions } from "./options.ts";

/** One moment of a topic, as far as was asked for. */
export interface TopicPage<Event = HubEvent> {
  /** In order. */
  readonly events: readonly Event[];
  /** All events up to here that are kept are in this page or before it: the `after` of the next one. */
  readonly position: string;
  /** Whether this is the last page for now. */
  readonly complete: boolean;
  /** Whether the log knows of any event there ever was, also of those it has removed. It forgets, in time. */
  readonly known: boolean;
  readonly finished: boolean;
}

/** A page has at most so many bytes, by the log's estimate. */
const PAGE_BYTES = 1024 * 1024;

/** @throws EverstreamError `INVALID_POSITION` for `after`. */
export async function readTopic(
  live: Live,
  topic: string,
  { after, last, limit = MAX_BATCH }: ReadOptions = {},
): Promise<TopicPage> {
  const { connection, epochs } = live;
  const page = await connection.read({
    topics: [topic],
    after: after === undefined ? { last: last ?? Number.MAX_SAFE_INTEGER } : sequenceOf(epochs, after),
    maxEntries: Math.min(limit, MAX_BATCH),
    maxBytes: PAGE_BYTES,
  });
  const state = page.topics[0];
  return {
    events: page.entries.map((entry) => hubEvent(entry, epochs.format(entry.sequence))),
    position: epochs.format(page.through),
    complete: page.through >= page.head,
    known: state !== undefined && (state.last > 0 || state.finishedAt > 0),
    finished: state !== undefined && state.finishedAt > 0,
  };
}

function sequenceOf(epochs: Epochs, after: string): number {
  const cursor = epochs.resolve(after);
  if (typeof cursor === "number") return cursor;
  throw noPosition("after", after);
}
