import type { Page, ReadQuery } from "../hub/log.ts";
import { Heap } from "./heap.ts";
import type { MemoryEntry, MemoryTopic } from "./memory-topic.ts";

/** A place in one topic while several are read in one order. */
interface Place {
  readonly topic: MemoryTopic;
  index: number;
  entry: MemoryEntry;
}

/** The entries of `topics` that a query asks for, merged. Costs what it reads, not what the topics hold. */
export function readMerged(
  topics: readonly MemoryTopic[],
  after: number,
  query: ReadQuery,
  head: number,
): Pick<Page, "entries" | "through"> {
  const entries: MemoryEntry[] = [];
  const places = new Heap<Place>((a, b) => a.entry.sequence < b.entry.sequence);
  for (const topic of topics) {
    const index = topic.indexAfter(after);
    const entry = topic.entries.at(index);
    if (entry !== undefined) places.push({ topic, index, entry });
  }
  let bytes = 0;
  for (let place = places.first; place !== undefined; place = places.first) {
    if (entries.length >= query.maxEntries || bytes >= query.maxBytes) {
      return { entries, through: entries.at(-1)?.sequence ?? after };
    }
    entries.push(place.entry);
    bytes += place.entry.bytes;
    const next = place.topic.entries.at(++place.index);
    if (next === undefined) {
      places.pop();
    } else {
      place.entry = next;
      places.replaceFirst(place);
    }
  }
  return { entries, through: Math.max(after, head) };
}

/** The place before the last `count` events of `topics`. */
export function placeBeforeLast(topics: readonly MemoryTopic[], count: number, head: number): number {
  if (count <= 0) return head;
  const places = new Heap<Place>((a, b) => a.entry.sequence > b.entry.sequence);
  for (const topic of topics) {
    const index = topic.entries.length - 1;
    const entry = topic.entries.at(index);
    if (entry !== undefined) places.push({ topic, index, entry });
  }
  let place = places.first;
  if (place === undefined) return head;
  let oldest = place.entry.sequence;
  for (let left = count; left > 0 && place !== undefined; left--) {
    oldest = place.entry.sequence;
    const next = place.index > 0 ? place.topic.entries.at(--place.index) : undefined;
    if (next === undefined) {
      places.pop();
    } else {
      place.entry = next;
      places.replaceFirst(place);
    }
    place = places.first;
  }
  return oldest - 1;
}
