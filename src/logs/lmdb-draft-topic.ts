import type { EventMeasure } from "./lmdb-event.ts";
import type { Measured, OldestEvents } from "./lmdb-oldest.ts";
import type { TopicRecord } from "./lmdb-topic.ts";

/** A topic as one commit sees and changes it. */
export class DraftTopic {
  readonly name: string;
  readonly record: TopicRecord;
  /** Whether the record is to be stored anew. */
  changed = false;
  readonly #stored: OldestEvents;
  /** Events that this commit adds, those from `#nextAdded` on not trimmed by it. */
  readonly #added: Measured[] = [];
  #nextAdded = 0;
  /** Whether what was stored before this commit is trimmed, all of it. */
  #isStoredGone: boolean;

  constructor(name: string, record: TopicRecord, stored: OldestEvents) {
    this.name = name;
    this.record = record;
    this.#stored = stored;
    this.#isStoredGone = record.events === 0;
  }

  add(sequence: number, { size, time }: EventMeasure): void {
    const { record } = this;
    this.#added.push({ sequence, size, time });
    record.events++;
    record.bytes += size;
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
    if (!this.#isStoredGone) {
      const stored = this.#stored.first(this.record);
      if (stored !== undefined) return stored;
      this.#isStoredGone = true;
    }
    return this.#added[this.#nextAdded];
  }

  /** Takes the oldest event out of the record. Its place on disk is the caller's to free. */
  trim({ sequence, size }: Measured): void {
    const { record } = this;
    if (this.#isStoredGone) this.#nextAdded++;
    else this.#stored.advance(record);
    record.events--;
    record.bytes -= size;
    record.trimmedThrough = sequence;
    record.deleted = false;
    record.first = this.oldest()?.sequence ?? 0;
    this.changed = true;
  }

  /** Takes all events out, and the finish mark. `sequence` is that of the mark which says so. */
  delete(sequence: number): void {
    const { record } = this;
    this.#stored.forget(record);
    this.#isStoredGone = true;
    this.#nextAdded = this.#added.length;
    record.first = 0;
    record.last = sequence;
    record.trimmedThrough = sequence;
    record.finishedAt = 0;
    record.events = 0;
    record.bytes = 0;
    record.deleted = true;
    this.changed = true;
  }
}
