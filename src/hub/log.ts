/**
 * What the hub asks of a log, and all it asks. A log moves data: it numbers, keeps, trims, hands out, and tells what was
 * accepted. Everything that is policy, what a cursor is good for, what a client is told, who waits for whom, is the
 * hub's. Every promise written here is checked by one suite, `test/logs/contract.ts`, for every log.
 *
 * Sequences: a log numbers entries with one rising sequence for all topics, safe integers from 1. They need not rise by
 * one. 0 stands before everything.
 *
 * No method throws; those that answer with a promise reject with an `EverstreamError`: `LOG_CLOSED` after
 * {@link LogConnection.close}; `NOT_REPLICATED` where an append was stored, but not yet on as many servers as was asked
 * for; `LOG_UNSUITABLE` where what the log stands on can't be used as it is set up; else `LOG_FAILED` with the `cause`.
 * An append that fails so may have been stored all the same: with its `publishId` it can be repeated.
 *
 * What a log answers speaks of the epochs that its feed has told of by then, {@link AppendResult} aside, which names its
 * own. Where a call meets another epoch than that, the feed is told first, in a turn of the event loop in which no call was
 * answered before; a `read` or `follow` that was under way is then rejected, an `append` is done in the new epoch, its
 * `expectLast` being a conflict where it names a sequence that the epoch of the call's time did not keep.
 */
export interface EventLog {
  /**
   * Connects one hub. Several may be connected at once, here as from other processes where the log allows that; each
   * has a feed of its own.
   */
  open(feed: LogFeed): Promise<LogConnection>;
}

/** A hub's connection to its log. */
export interface LogConnection {
  /**
   * The epochs, oldest first, the last one being written. An opening that can't prove that nothing was lost since the
   * epoch before began adds one, whose number no earlier opening has used.
   */
  readonly epochs: readonly Epoch[];
  /** The sequence of the newest entry when the connection was opened, or 0; the feed begins behind it. */
  readonly head: number;
  /**
   * Whether one process at a time has the log, so that whatever stands in an earlier epoch was written by a process that
   * is gone. `false` where left out.
   */
  readonly exclusive?: boolean;

  /**
   * Stores all of a request's entries, next to each other, or none. It resolves once they are as durable as the log
   * promises, and not before; no feed and no read shows them earlier. Looks, in this order, whether
   * - `publishId` was seen for the topic within its window: the first result, once more;
   * - the topic is finished: refused, unless the request only finishes it again, which repeats the first result;
   * - `expectLast` holds: else refused.
   */
  append(request: AppendRequest): Promise<AppendResult>;

  /** Reads entries of the topics in their one order, and each topic's state at the same moment. */
  read(query: ReadQuery): Promise<Page>;

  /**
   * Has the feed hand over this topic's entries from now on. Answers with a sequence S, at or over the head of this
   * moment: every entry after S will come, and all of later epochs. Logs that feed everything anyway may answer at once.
   */
  follow(topic: string): number | Promise<number>;
  /** Takes a `follow` back. Entries may still come for a while. */
  unfollow(topic: string): void;

  /** Removes entries that were over their topic's age at `now`. Called every second or so; works off a bounded part. */
  expire(now: number): Promise<void>;

  /** Lets go of everything. Calls that are still under way settle, well or with `LOG_CLOSED`. May be called twice. */
  close(): Promise<void>;
}

/** Where a log tells a hub what was accepted. */
export interface LogFeed {
  /**
   * Entries in order, as soon as they are accepted; all of one append in the same delivery. Called one after the other,
   * never from within itself. A delivery may hold entries of topics that nobody asked for.
   */
  onEntries(delivery: Delivery): void;
  /**
   * The log's data is no longer what it was: restored, or taken over from a copy that may lack something. What was
   * delivered after the new epoch's start is void. The feed goes on behind `head`, with all topics that are followed. Called in
   * a turn of its own, in which nothing else is answered or delivered.
   */
  onEpoch(epochs: readonly Epoch[], head: number): void;
}

/**
 * A stretch of the log's order: all entries of followed topics with `after` < sequence <= `through` are in it. Where
 * `after` is over the last delivery's `through`, something was lost on the way, and the hub reads it from the log.
 */
export interface Delivery {
  readonly after: number;
  readonly through: number;
  readonly entries: readonly LogEntry[];
}

/** A stretch of the log that one proven owner of its data has written. */
export interface Epoch {
  /** A whole number from 1 that no other epoch of this log, or of one that once stood in its place, is likely to have. */
  readonly epoch: number;
  /** Entries from this sequence on are of this epoch, until the next one's first. */
  readonly first: number;
}

/** What is stored of an event. */
export interface StoredEvent {
  readonly type: string;
  /** The text that goes out as `data`. */
  readonly data: string;
  /** Whether `data` is JSON. */
  readonly json: boolean;
  /** What the event is about, where the latest one for a key replaces those before it. */
  readonly key: string | undefined;
  /** What its publisher noted for other servers. Clients do not see it. */
  readonly meta: Readonly<Record<string, string>> | undefined;
  /** When it was published, in milliseconds as `Date.now()` gives them. */
  readonly time: number;
  /** The version of this record, {@link STORED_VERSION}. A log stores it, so that later ones can tell. */
  readonly version: number;
}

export const STORED_VERSION = 1;

/**
 * One place in the log's order. `finish` and `delete` are marks: they take a sequence and reach the feed, but no read
 * hands them out, since {@link TopicState} says the same. A mark's event is {@link NO_EVENT}.
 */
export interface LogEntry {
  readonly sequence: number;
  readonly topic: string;
  readonly kind: "event" | "finish" | "delete";
  readonly event: StoredEvent;
}

export const NO_EVENT: StoredEvent = /* @__PURE__ */ Object.freeze({
  type: "",
  data: "",
  json: false,
  key: undefined,
  meta: undefined,
  time: 0,
  version: STORED_VERSION,
});

/** How much of a topic is kept: whatever is over any of these goes, the oldest first. */
export interface RetentionLimits {
  readonly maxEvents: number;
  /** Counted with {@link sizeOf}. */
  readonly maxBytes: number;
  readonly maxAgeMs: number;
}

/** What is to be stored: events of one topic, all or none. */
export interface AppendRequest {
  readonly topic: string;
  /** At most {@link MAX_BATCH}; may be empty where there is a mark. */
  readonly events: readonly StoredEvent[];
  /**
   * What follows the events in the same append. `finish`: nothing can be appended to the topic any more. `delete`, only
   * without events: the topic's entries are gone, its finish mark too; where there are none, nothing is stored.
   */
  readonly mark: "finish" | "delete" | undefined;
  /**
   * Refuse, unless the topic has no entry after this sequence, marks included. Of a topic that the log does not know, it
   * may have had entries up to {@link TopicState.trimmedThrough}. `null`: unless it holds no event now.
   */
  readonly expectLast: number | null | undefined;
  readonly publishId: string | undefined;
  /** How long a `publishId` is to be remembered, at least where memory allows. */
  readonly publishIdWindowMs: number;
  /** The topic's limits from now on; the log trims by them in the same append. The newest event always stays. */
  readonly retention: RetentionLimits;
  /** The time, in milliseconds as `Date.now()` gives them. */
  readonly now: number;
}

export const MAX_BATCH = 1000;

export type AppendResult =
  | {
      readonly accepted: true;
      /** One for each event, then the mark's, rising. */
      readonly sequences: readonly number[];
      /** The result of an earlier append: nothing was stored by this one. */
      readonly repeated: boolean;
      /** The epoch of the sequences. Left out by logs whose epochs never change while they are open. */
      readonly epoch?: number;
    }
  | { readonly accepted: false; readonly reason: "finished" | "conflict" };

/** Which entries are wanted, and how many. */
export interface ReadQuery {
  readonly topics: readonly string[];
  /** Entries after this sequence; or as many as there are after the point that leaves the `last` so many events. */
  readonly after: number | { readonly last: number };
  /** At most so many entries; 0 for none, to learn only the head, the states, and where a `last` would begin. */
  readonly maxEntries: number;
  /** No more entries once those before came to so many bytes, by {@link sizeOf}. At least one, if there is one. */
  readonly maxBytes: number;
}

/** One moment of the log. */
export interface Page {
  /**
   * Where the page begins: what the query said; for a `last` the place before that event, before the oldest where there
   * are fewer, the head where there are none.
   */
  readonly after: number;
  /** Events of the topics in order, from `after` (exclusive) through `through`: all of these that are kept. */
  readonly entries: readonly LogEntry[];
  /** The head, where limits did not end the page before; then the last entry's sequence. At least `after`. */
  readonly through: number;
  /** The newest sequence of the whole log. */
  readonly head: number;
  /** The states of the query's topics, in its order. */
  readonly topics: readonly TopicState[];
}

/**
 * What the log knows of a topic. Once no event is left of a topic, the log may forget it, so that millions of short-lived
 * topics leave nothing behind. It keeps one floor: no forgotten topic had an entry after it. A topic that it does not
 * know has the floor for `trimmedThrough`, zeros and `false` for the rest; one that is new begins with that floor.
 */
export interface TopicState {
  /** The oldest event kept, or 0. */
  readonly first: number;
  /** The newest entry, a mark too, even if it was trimmed since; or 0. */
  readonly last: number;
  /** Events up to this sequence were removed, or may have been. */
  readonly trimmedThrough: number;
  /** The newest of these were removed by `delete`. */
  readonly deleted: boolean;
  /** The sequence of its finish mark, or 0. */
  readonly finishedAt: number;
}

/** What an entry's record takes beside its texts, about. */
const ENTRY_OVERHEAD = 200;

/**
 * What an event counts for where limits are in bytes: its texts, a character for a byte, and a fixed part for the
 * record. An estimate that costs nothing, and that every log makes alike.
 */
export function sizeOf({ type, data, key, meta }: StoredEvent): number {
  let size = ENTRY_OVERHEAD + type.length + data.length + (key?.length ?? 0);
  if (meta !== undefined) for (const name in meta) size += name.length + (meta[name] as string).length;
  return size;
}
