import type { LogEntry, Page, ReadQuery } from "../hub/log.ts";
import { Heap } from "./heap.ts";
import { decodeStored, measureStored } from "./lmdb-event.ts";
import { LAST, type Pair } from "./lmdb-keys.ts";
import type { LmdbTables } from "./lmdb-tables.ts";
import { type TopicRecord, topicState } from "./lmdb-topic.ts";

/** A topic that a query names and that the log knows. */
interface KnownTopic {
  readonly name: string;
  readonly record: TopicRecord;
}

/** A place in one topic while several are read in one order. */
interface Place<Item> {
  readonly topic: KnownTopic;
  readonly cursor: Iterator<Item>;
  item: Item;
}

/**
 * Answers a query. Runs in one piece, and so within one of lmdb's read transactions: the whole page is of one moment.
 * Costs what it reads, not what the topics hold.
 */
export function readPage(tables: LmdbTables, query: ReadQuery): Page {
  const { head, floor } = tables.state;
  const known: KnownTopic[] = [];
  const topics = query.topics.map((name) => {
    const record = tables.topics.get(name);
    if (record !== undefined) known.push({ name, record });
    return topicState(record, floor);
  });
  const after =
    typeof query.after === "number" ? query.after : placeBeforeLast(tables, known, query.after.last, head);
  return { after, head, topics, ...readMerged(tables, known, after, query, head) };
}

function readMerged(
  tables: LmdbTables,
  topics: readonly KnownTopic[],
  after: number,
  query: ReadQuery,
  head: number,
): Pick<Page, "entries" | "through"> {
  const entries: LogEntry[] = [];
  const places = new Heap<Place<{ key: Pair; value: Buffer }>>((a, b) => a.item.key[1] < b.item.key[1]);
  try {
    for (const topic of topics) {
      const { id, first, last, events } = topic.record;
      if (events === 0 || last <= after) continue;
      const range = { start: [id, Math.max(first, after + 1)] as Pair, end: [id, LAST] as Pair };
      addPlace(places, topic, tables.events.getRange(range)[Symbol.iterator]());
    }
    let bytes = 0;
    for (let place = places.first; place !== undefined; place = places.first) {
      if (entries.length >= query.maxEntries || bytes >= query.maxBytes) {
        return { entries, through: entries.at(-1)?.sequence ?? after };
      }
      const { key, value } = place.item;
      entries.push({
        sequence: key[1],
        topic: place.topic.name,
        kind: "event",
        event: decodeStored(value),
      });
      bytes += measureStored(value).size;
      advance(places, place);
    }
    return { entries, through: Math.max(after, head) };
  } finally {
    close(places);
  }
}

/** The place before the last `count` events of `topics`. */
function placeBeforeLast(
  tables: LmdbTables,
  topics: readonly KnownTopic[],
  count: number,
  head: number,
): number {
  if (count <= 0) return head;
  const places = new Heap<Place<Pair>>((a, b) => a.item[1] > b.item[1]);
  try {
    for (const topic of topics) {
      const { id, first, last, events } = topic.record;
      if (events === 0) continue;
      // From the newest down; what ends such a range is not in it.
      const range = { start: [id, last] as Pair, end: [id, first - 1] as Pair, reverse: true };
      addPlace(places, topic, tables.events.getKeys(range)[Symbol.iterator]());
    }
    let oldest = head + 1;
    let left = count;
    for (let place = places.first; place !== undefined && left > 0; place = places.first) {
      oldest = place.item[1];
      left--;
      advance(places, place);
    }
    return oldest - 1;
  } finally {
    close(places);
  }
}

function addPlace<Item>(places: Heap<Place<Item>>, topic: KnownTopic, cursor: Iterator<Item>): void {
  const { done, value } = cursor.next();
  if (done !== true) places.push({ topic, cursor, item: value });
}

function advance<Item>(places: Heap<Place<Item>>, first: Place<Item>): void {
  const { done, value } = first.cursor.next();
  if (done === true) {
    places.pop();
  } else {
    first.item = value;
    places.replaceFirst(first);
  }
}

/** Gives the cursors back to lmdb, which keeps their transaction open until then. */
function close<Item>(places: Heap<Place<Item>>): void {
  for (let place = places.pop(); place !== undefined; place = places.pop()) place.cursor.return?.();
}
