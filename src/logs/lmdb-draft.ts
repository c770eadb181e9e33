import { type AppendRequest, type AppendResult, type LogEntry, NO_EVENT, sizeOf } from "../hub/log.ts";
import { Changes } from "./lmdb-changes.ts";
import type { DraftTopic } from "./lmdb-draft-topic.ts";
import { DraftTopics } from "./lmdb-draft-topics.ts";
import { DraftPublishIds, publishIdKey } from "./lmdb-publish-ids.ts";
import type { LmdbTables, LogState } from "./lmdb-tables.ts";

/** How many old results are forgotten for each new `publishId`: more than one, so that they get fewer after a rush. */
const IDS_FORGOTTEN_FOR_EACH = 2;
/** How many are forgotten by a commit that expires, and where there is little space. */
const IDS_FORGOTTEN = 2000;
const FEW_IDS_FORGOTTEN = 20;

/**
 * What one commit will do. All of it is decided before the first write, against what is stored and what the commit has
 * decided so far: so a commit is written whole, and of one that fails there is nothing to take back.
 */
export class Draft {
  /** The head before this commit. */
  readonly after: number;
  /** What the feeds are to be given when it is done. */
  readonly entries: LogEntry[] = [];
  readonly state: LogState;
  /** Whether there was more to expire than one commit may do. */
  isUnfinished = false;
  readonly #tables: LmdbTables;
  readonly #changes = new Changes();
  readonly #topics: DraftTopics;
  readonly #publishIds: DraftPublishIds;
  readonly #isShort: boolean;
  #idsToForget = 0;
  #now = 0;

  constructor(tables: LmdbTables) {
    this.#tables = tables;
    this.state = { ...tables.state };
    this.after = this.state.head;
    this.#isShort = tables.isShortOfSpace;
    this.#topics = new DraftTopics(tables, this.state, this.#changes, this.#isShort);
    this.#publishIds = new DraftPublishIds(tables, this.#changes);
  }

  /** Decides an append. `values` are its events as they are to be stored. */
  append(request: AppendRequest, values: readonly Buffer[]): AppendResult {
    const { topic: name, publishId, now, mark } = request;
    this.#now = Math.max(this.#now, now);
    const idKey = publishId === undefined ? undefined : publishIdKey(name, publishId);
    if (idKey !== undefined) {
      const sequences = this.#publishIds.find(idKey, now);
      if (sequences !== undefined) return { accepted: true, sequences, repeated: true };
    }
    const topic = this.#topics.find(name);
    const finishedAt = topic?.record.finishedAt ?? 0;
    if (finishedAt > 0 && mark !== "delete") {
      if (mark !== "finish" || request.events.length > 0) return { accepted: false, reason: "finished" };
      return { accepted: true, sequences: [finishedAt], repeated: true };
    }
    if (!this.#isAsExpected(topic, request.expectLast)) return { accepted: false, reason: "conflict" };
    const sequences =
      mark === "delete"
        ? this.#delete(topic)
        : this.#add(topic ?? this.#topics.create(name), request, values);
    if (idKey !== undefined) {
      this.#publishIds.remember(idKey, sequences, now + request.publishIdWindowMs, this.state.nextId++);
      this.#idsToForget += IDS_FORGOTTEN_FOR_EACH;
    }
    return { accepted: true, sequences, repeated: false };
  }

  /** Removes what is over its age at `now`, as far as one commit may. */
  expire(now: number): void {
    this.#now = Math.max(this.#now, now);
    this.#idsToForget += this.#isShort ? FEW_IDS_FORGOTTEN : IDS_FORGOTTEN;
    this.#topics.expire(now);
  }

  /** Ends the deciding. Returns what is to be written, if anything. */
  finish(): Changes | undefined {
    const idsAreLeft = this.#idsToForget > 0 && this.#publishIds.forget(this.#now, this.#idsToForget);
    this.#topics.tidy();
    this.#topics.finish();
    this.isUnfinished = idsAreLeft || this.#topics.isTired;
    if (this.#changes.length === 0) return undefined;
    this.#tables.setState(this.#changes, this.state);
    return this.#changes;
  }

  #isAsExpected(topic: DraftTopic | undefined, expectLast: number | null | undefined): boolean {
    if (expectLast === undefined) return true;
    if (expectLast === null) return topic === undefined || topic.record.events === 0;
    return (topic?.record.last ?? this.state.floor) <= expectLast;
  }

  #add(topic: DraftTopic, request: AppendRequest, values: readonly Buffer[]): number[] {
    const sequences: number[] = [];
    for (const [index, event] of request.events.entries()) {
      const sequence = ++this.state.head;
      topic.add(sequence, { size: sizeOf(event), time: event.time });
      this.#topics.store(topic, sequence, values[index] as Buffer);
      this.entries.push({ sequence, topic: topic.name, kind: "event", event });
      sequences.push(sequence);
    }
    if (request.mark === "finish") {
      const sequence = ++this.state.head;
      topic.finish(sequence);
      this.entries.push({ sequence, topic: topic.name, kind: "finish", event: NO_EVENT });
      sequences.push(sequence);
    }
    this.#topics.limit(topic, request.retention, request.events.length, request.now);
    return sequences;
  }

  #delete(topic: DraftTopic | undefined): number[] {
    if (topic === undefined || (topic.record.events === 0 && topic.record.finishedAt === 0)) return [];
    const sequence = ++this.state.head;
    this.#topics.delete(topic, sequence);
    this.entries.push({ sequence, topic: topic.name, kind: "delete", event: NO_EVENT });
    return [sequence];
  }
}
