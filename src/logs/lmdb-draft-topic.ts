import { type EventMeasure, measureStored } from "./lmdb-event.ts";
import type { LmdbFiles } from "./lmdb-files.ts";
import { LAST, type Pair } from "./lmdb-keys.ts";
import type { TopicRecord } from "./lmdb-topic.ts";

/** An event that may be trimmed. */
interface Measured extends EventMeasure {
  readonly sequence: number;
}

/** A topic as one commit sees and changes it. */
export class DraftTopic {
  readonly name: string;
  readonly record: TopicRecord;
  /** Whether the record is to be stored anew. */
  changed = false;
  readonly #files: LmdbFiles;
  /** Events that this commit adds, those from `#nextAdded` on not trimmed by it. */
  readonly #added: Measured[] = [];
  #nextAdded = 0;
  /** The stored events from the oldest on; `undefined` until somebody asks. */
  #stored: Iterator<{ key: Pair; value: Buffer }> | undefined;
  #oldest: Measured | undefined;

  constructor(name: string, record: TopicRecord, files: LmdbFiles) {
    this.name = name;
    this.record = record;
    this.#files = files;
  }

  add(sequence: number, measure: EventMeasure): void {
    const { record } = this;
    this.#added.push({ sequence, size: measure.size, time: measure.time });
    record.events++;
    record.bytes += measure.size;
    record.last = sequence;
    if (record.first === 0) record.first = sequence;
    this.changed = true;
  }

  /** Nothing can be added from now on. */
  finish(sequence: number): void {
    this.record.finishedAt = sequence;
    this.record.last = sequence;
    this.changed = true;
  }

  /** The oldest event it holds. */
  oldest(): Measured | undefined {
    if (this.record.events === 0) return undefined;
    this.#oldest ??= this.#nextStored() ?? this.#added[this.#nextAdded++];
    return this.#oldest;
  }

  /** Takes the oldest event out of the record. Its place on disk is the caller's to free. */
  trim(oldest: Measured): void {
    const { record } = this;
    record.events--;
    record.bytes -= oldest.size;
    record.trimmedThrough = oldest.sequence;
    record.deleted = false;
    this.#oldest = undefined;
    record.first = this.oldest()?.sequence ?? 0;
    this.changed = true;
  }

  /** Takes all events out, and the finish mark. `sequence` is that of the mark which says so. */
  delete(sequence: number): void {
    const { record } = this;
    this.close();
    this.#added.length = 0;
    this.#nextAdded = 0;
    this.#oldest = undefined;
    Object.assign(record, { first: 0, events: 0, bytes: 0, last: sequence, trimmedThrough: sequence });
    Object.assign(record, { deleted: true, finishedAt: 0 });
    this.changed = true;
  }

  /** Gives the cursor back to lmdb. */
  close(): void {
    this.#stored?.return?.();
    this.#stored = NOTHING_STORED;
  }

  #nextStored(): Measured | undefined {
    const { record } = this;
    // lmdb shows what was stored before this commit, so that it ends where the added ones begin.
    this.#stored ??= this.#files.events
      .getRange({ start: [record.id, record.first], end: [record.id, LAST] })
      [Symbol.iterator]();
    const next = this.#stored.next();
    if (next.done === true) return undefined;
    const { size, time } = measureStored(next.value.value);
    return { sequence: next.value.key[1], size, time };
  }
}

const NOTHING_STORED: Iterator<never> = { next: () => ({ done: true, value: undefined }) };
