import type { RetentionLimits } from "../hub/log.ts";
import type { Changes } from "./lmdb-changes.ts";
import { DraftTopic } from "./lmdb-draft-topic.ts";
import { LAST } from "./lmdb-keys.ts";
import type { LmdbTables, LogState } from "./lmdb-tables.ts";
import { NEW_TOPIC, type TopicRecord } from "./lmdb-topic.ts";

/** Topics without events that are still remembered, so that their readers are told exactly. */
const MAX_EMPTY_TOPICS = 1000;
/** How many events an append may trim for each one that it adds, before that counts as work on the side. */
const TRIMMED_FOR_EACH = 2;
/** What one commit does on the side, counted in events that it removes: a millisecond or two of this thread. */
const SIDE_WORK = 1000;
/** The same where there is little space, of which one event that goes may take a few pages first. */
const LITTLE_SIDE_WORK = 20;

/** All topics as one commit sees and changes them, and their retention. */
export class DraftTopics {
  readonly #tables: LmdbTables;
  readonly #state: LogState;
  readonly #changes: Changes;
  readonly #topics = new Map<string, DraftTopic | undefined>();
  #sideWork: number;

  constructor(tables: LmdbTables, state: LogState, changes: Changes, isShortOfSpace: boolean) {
    this.#tables = tables;
    this.#state = state;
    this.#changes = changes;
    this.#sideWork = isShortOfSpace ? LITTLE_SIDE_WORK : SIDE_WORK;
  }

  /** Whether this commit has done all that it may do on the side, so that more may be left. */
  get isTired(): boolean {
    return this.#sideWork <= 0;
  }

  find(name: string): DraftTopic | undefined {
    if (this.#topics.has(name)) return this.#topics.get(name);
    const record = this.#tables.topics.get(name);
    const topic = record === undefined ? undefined : new DraftTopic(name, record, this.#tables.oldest);
    this.#topics.set(name, topic);
    return topic;
  }

  create(name: string): DraftTopic {
    const { floor } = this.#state;
    const record: TopicRecord = { ...NEW_TOPIC, id: this.#state.nextId++, trimmedThrough: floor };
    const topic = new DraftTopic(name, record, this.#tables.oldest);
    this.#topics.set(name, topic);
    return topic;
  }

  /** Has an event stored that was added to a topic. */
  store({ record }: DraftTopic, sequence: number, value: Buffer): void {
    this.#changes.put(this.#tables.events, [record.id, sequence], value);
  }

  /** Applies a topic's limits after `added` events, or its finish mark, were added to it. */
  limit(
    topic: DraftTopic,
    { maxEvents, maxBytes, maxAgeMs }: RetentionLimits,
    added: number,
    now: number,
  ): void {
    const { record } = topic;
    if (record.maxAgeMs !== maxAgeMs) this.#unschedule(topic);
    Object.assign(record, { maxEvents, maxBytes, maxAgeMs });
    const isDue = record.dueAt !== 0 && record.dueAt <= now;
    if (isDue || isOverSize(record)) this.#trim(topic, 1, added * TRIMMED_FOR_EACH, now);
    if (isDue || record.dueAt === 0 || isOverSize(record)) this.#schedule(topic, now);
    this.#keepList(topic);
  }

  /** Takes all of a topic's events out. `sequence` is that of the mark which says so. */
  delete(topic: DraftTopic, sequence: number): void {
    const { record } = topic;
    if (record.events > 0) {
      this.#changes.put(this.#tables.leftovers, [record.id, record.last], topic.name);
      this.#state.leftovers++;
    }
    topic.delete(sequence);
    this.#unschedule(topic);
    this.#removeFromList(topic);
    this.#keepList(topic);
  }

  /** Trims topics that are due, as far as work on the side may go. */
  expire(now: number): void {
    const range = this.#tables.due.getRange({ start: [0, 0], end: [Math.floor(now), LAST] });
    for (const { key, value: name } of range) {
      if (this.isTired) return;
      this.#sideWork--;
      const topic = this.find(name);
      if (topic === undefined || topic.record.dueAt !== key[0]) continue;
      this.#trim(topic, 0, 0, now);
      this.#schedule(topic, now);
      this.#keepList(topic);
    }
  }

  /** Does what can wait: frees the space of deleted events, and forgets topics that have been empty for long. */
  tidy(): void {
    if (this.#state.leftovers > 0) this.#sweepLeftovers();
    if (this.#state.emptyTopics > MAX_EMPTY_TOPICS) this.#forgetEmpty();
  }

  /** Ends the deciding: has all records stored that changed. */
  finish(): void {
    for (const topic of this.#topics.values()) {
      if (topic?.changed === true) this.#changes.put(this.#tables.topics, topic.name, topic.record);
    }
  }

  /**
   * Removes the oldest events of a topic while it is over a limit and has more than `least`: `free` of them, then as many
   * as work on the side may take.
   */
  #trim(topic: DraftTopic, least: number, free: number, now: number): void {
    const { record } = topic;
    let left = free;
    while (record.events > least) {
      const oldest = topic.oldest();
      if (oldest === undefined || !(isOverSize(record) || oldest.time + record.maxAgeMs <= now)) return;
      if (left > 0) left--;
      else if (this.#sideWork-- <= 0) return;
      this.#changes.remove(this.#tables.events, [record.id, oldest.sequence]);
      topic.trim(oldest);
    }
  }

  /** Has the topic looked at when its oldest event is over its age; at once where trimming could not be finished. */
  #schedule(topic: DraftTopic, now: number): void {
    this.#unschedule(topic);
    const { record } = topic;
    const isLate = isOverSize(record);
    if (!isLate && record.maxAgeMs === Number.POSITIVE_INFINITY) return;
    const oldest = topic.oldest();
    if (oldest === undefined) return;
    const at = isLate ? now : oldest.time + record.maxAgeMs;
    record.dueAt = Math.min(LAST, Math.max(1, Math.ceil(at)));
    topic.changed = true;
    this.#changes.put(this.#tables.due, [record.dueAt, record.id], topic.name);
  }

  #unschedule(topic: DraftTopic): void {
    const { record } = topic;
    if (record.dueAt === 0) return;
    this.#changes.remove(this.#tables.due, [record.dueAt, record.id]);
    record.dueAt = 0;
    topic.changed = true;
  }

  /** Sees to it that a topic is in the list of empty ones if it is empty, and only then. */
  #keepList(topic: DraftTopic): void {
    const { record } = topic;
    if (record.events > 0) {
      this.#removeFromList(topic);
    } else if (record.emptyAt === 0) {
      record.emptyAt = this.#state.nextId++;
      topic.changed = true;
      this.#changes.put(this.#tables.empty, [record.emptyAt, 0], topic.name);
      this.#state.emptyTopics++;
    }
  }

  #removeFromList(topic: DraftTopic): void {
    const { record } = topic;
    if (record.emptyAt === 0) return;
    this.#changes.remove(this.#tables.empty, [record.emptyAt, 0]);
    record.emptyAt = 0;
    topic.changed = true;
    this.#state.emptyTopics--;
  }

  #forgetEmpty(): void {
    for (const { key, value: name } of this.#tables.empty.getRange({ start: [0, 0], end: [LAST, LAST] })) {
      if (this.#state.emptyTopics <= MAX_EMPTY_TOPICS || this.isTired) return;
      const topic = this.find(name);
      if (topic === undefined || topic.record.emptyAt !== key[0]) continue;
      this.#sideWork--;
      this.#unschedule(topic);
      this.#removeFromList(topic);
      this.#changes.remove(this.#tables.topics, name);
      this.#topics.set(name, undefined);
      this.#state.floor = Math.max(this.#state.floor, topic.record.trimmedThrough, topic.record.last);
    }
  }

  #sweepLeftovers(): void {
    const { events, leftovers } = this.#tables;
    for (const key of leftovers.getKeys({ start: [0, 0], end: [LAST, LAST] })) {
      const [id, through] = key;
      for (const event of events.getKeys({ start: [id, 0], end: [id, through + 1] })) {
        if (this.isTired) return;
        this.#sideWork--;
        this.#changes.remove(events, event);
      }
      this.#changes.remove(leftovers, key);
      this.#state.leftovers--;
    }
  }
}

/** Whether a topic holds more events or bytes than it may. The newest event always stays. */
function isOverSize({ events, bytes, maxEvents, maxBytes }: TopicRecord): boolean {
  return events > 1 && (events > maxEvents || bytes > maxBytes);
}
