import {
  type AppendRequest,
  type AppendResult,
  type RetentionLimits,
  type StoredEvent,
  sizeOf,
} from "../../hub/log.ts";
import { sequenceOf } from "./names.ts";
import {
  type CarriedId,
  encodeEntry,
  encodeMark,
  lastOf,
  ownPosition,
  type Position,
  type TopicRecord,
  trimmedOf,
  UNKNOWN,
} from "./record.ts";

/** What trimming must know of a kept event. */
export interface Measure {
  readonly position: Position;
  readonly size: number;
  readonly time: number;
}

/** The oldest kept events of a topic, in order, as far as they are known. */
export interface Measures {
  readonly known: readonly Measure[];
  /** Whether they are all that is kept. */
  readonly complete: boolean;
}

/** What the log remembers of a topic's ids. */
export interface KnownIds {
  find(id: string, now: number): readonly number[] | undefined;
  /** Those that the message has to carry that erases all earlier ones. */
  carriedOn(now: number): readonly CarriedId[];
}

/** An append as one message takes part in it. */
export interface Draftable {
  readonly request: AppendRequest;
  /** Its events as they are to be stored. */
  readonly texts: readonly string[];
}

/** How one append came out: its result, or which entries of the message to be stored are its own. */
export type Decision = { readonly result: AppendResult } | { readonly from: number; readonly count: number };

/** Thrown where more of the kept events must be known to trim. */
export const NEEDS_MEASURES = Symbol("needs measures");

/**
 * What the next message of a topic will be, decided against what the topic is known to be. The server takes it only if
 * that was true. Nothing here waits or writes, so that whoever finds that something is missing decides again.
 */
export class Draft {
  readonly entries: string[] = [];
  readonly ids: CarriedId[] = [];
  /** Whether all that was before this message, or before a part of it, is erased. */
  hasErased = false;
  readonly #base: TopicRecord;
  readonly #measures: Measures;
  readonly #known: KnownIds;
  readonly #own: Measure[] = [];
  /** How many of the measured events, and of this message's own, are trimmed. */
  #dropped = 0;
  #trimmedThrough: Position;
  #deleted: boolean;
  #lastEvent: Position;
  #events: number;
  #bytes: number;
  #finishedAt: Position;
  #newest: number;
  #maxAgeMs: number;
  /** Whether nothing that was kept before this message is kept any more. */
  #emptied = false;

  /** `aged` is the topic without what is over its age. */
  constructor(base: TopicRecord, floor: Position, measures: Measures, known: KnownIds) {
    this.#base = base;
    this.#measures = measures;
    this.#known = known;
    this.#trimmedThrough = trimmedOf(base, floor);
    this.#deleted = base.deleted;
    this.#lastEvent = base.lastEvent;
    this.#events = base.events;
    this.#bytes = base.bytes;
    this.#finishedAt = base.finishedAt;
    this.#newest = base.newest;
    this.#maxAgeMs = base.maxAgeMs;
    this.#emptied = base.events === 0;
  }

  decide({ request, texts }: Draftable, floor: Position): Decision {
    const { publishId, now, mark } = request;
    if (publishId !== undefined) {
      const own = this.ids.find(({ id, until, at }) => id === publishId && until > now && at === undefined);
      if (own !== undefined) return { from: own.from, count: own.count };
      const sequences = this.#known.find(publishId, now);
      if (sequences !== undefined) return { result: { accepted: true, sequences, repeated: true } };
    }
    if (this.#finishedAt !== 0 && mark !== "delete") {
      if (mark !== "finish" || request.events.length > 0) {
        return { result: { accepted: false, reason: "finished" } };
      }
      return this.#finishedAgain();
    }
    if (!this.#isAsExpected(request.expectLast, floor)) {
      return { result: { accepted: false, reason: "conflict" } };
    }
    const from = this.entries.length;
    if (mark === "delete") this.#delete(now);
    else this.#add(request, texts);
    const count = this.entries.length - from;
    if (publishId !== undefined && count > 0) {
      this.ids.push({ id: publishId, from, count, until: now + request.publishIdWindowMs });
    }
    if (count === 0) return { result: { accepted: true, sequences: [], repeated: false } };
    return { from, count };
  }

  /** The topic after this message; its own sequences are not known yet. */
  record(nonce: string): TopicRecord {
    const oldest = this.#oldest();
    // The next one is to be known once any was dropped.
    if (oldest === undefined && this.#events > 0 && this.#dropped > 0) throw NEEDS_MEASURES;
    return {
      message: 0,
      nonce,
      previous: this.#base.message,
      count: this.entries.length,
      trimmedThrough: this.#trimmedThrough,
      deleted: this.#deleted,
      first: this.#events === 0 ? 0 : (oldest?.position ?? this.#base.first),
      lastEvent: this.#events === 0 ? 0 : this.#lastEvent,
      events: this.#events,
      bytes: this.#bytes,
      totalEvents: this.#base.totalEvents + this.#own.length,
      totalBytes: this.#own.reduce((bytes, { size }) => bytes + size, this.#base.totalBytes),
      finishedAt: this.#finishedAt,
      oldest: this.#events === 0 ? 0 : (oldest?.time ?? this.#base.oldest),
      newest: this.#newest,
      maxAgeMs: this.#maxAgeMs,
      idsUntil: Math.max(this.#base.idsUntil, ...this.ids.map(({ until }) => until)),
    };
  }

  /** What is known of the kept events once the message is stored under this sequence. */
  measuresAfter(message: number, max: number): Measures {
    const { known, complete } = this.#measures;
    const left = this.#emptied ? [] : known.slice(this.#dropped);
    if (!this.#emptied && !complete) return { known: left, complete: false };
    const own = this.#own
      .slice(this.#emptied ? this.#dropped : Math.max(0, this.#dropped - known.length))
      .map((measure) => ({ ...measure, position: this.#placeOf(measure.position, message) }));
    if (left.length + own.length > max)
      return { known: left, complete: left.length === 0 && own.length === 0 };
    return { known: [...left, ...own], complete: true };
  }

  #placeOf(position: Position, message: number): Position {
    return position < 0 ? sequenceOf(message, this.entries.length, -1 - position) : position;
  }

  #isAsExpected(expectLast: number | null | undefined, floor: Position): boolean {
    if (expectLast === undefined) return true;
    if (expectLast === null) return this.#events === 0;
    // Nobody can have named a sequence of this message.
    if (this.entries.length > 0) return false;
    return (this.#base === UNKNOWN || this.#base.message === 0 ? floor : lastOf(this.#base)) <= expectLast;
  }

  #finishedAgain(): Decision {
    const at = this.#finishedAt;
    if (at < 0) return { from: -1 - at, count: 1 };
    return { result: { accepted: true, sequences: [at], repeated: true } };
  }

  #add({ events, mark, retention }: AppendRequest, texts: readonly string[]): void {
    events.forEach((event, index) => {
      this.#addOne(event, texts[index] ?? encodeEntry(event));
    });
    if (mark === "finish") {
      this.#finishedAt = ownPosition(this.entries.length);
      this.entries.push(encodeMark("finish"));
    }
    this.#maxAgeMs = retention.maxAgeMs;
    this.#limit(retention);
  }

  #addOne(event: StoredEvent, text: string): void {
    const measure = { position: ownPosition(this.entries.length), size: sizeOf(event), time: event.time };
    this.entries.push(text);
    this.#own.push(measure);
    this.#events++;
    this.#bytes += measure.size;
    this.#lastEvent = measure.position;
    this.#newest = event.time;
  }

  #delete(now: number): void {
    if (this.#events === 0 && this.#finishedAt === 0) return;
    this.#empty();
    if (!this.hasErased) this.ids.push(...this.#known.carriedOn(now));
    this.hasErased = true;
    this.#trimmedThrough = ownPosition(this.entries.length);
    this.#deleted = true;
    this.#finishedAt = 0;
    this.#lastEvent = 0;
    this.entries.push(encodeMark("delete"));
  }

  #limit({ maxEvents, maxBytes }: RetentionLimits): void {
    // Where this message alone is enough, nothing need be known of what was before it.
    const old = this.#events - this.#ownKept();
    if (!this.#emptied && old > 0 && this.#ownKept() >= Math.max(1, maxEvents)) this.#dropOld();
    while (this.#events > 1 && (this.#events > maxEvents || this.#bytes > maxBytes)) this.#dropOne();
  }

  #ownKept(): number {
    const { known } = this.#measures;
    return this.#own.length - (this.#emptied ? this.#dropped : Math.max(0, this.#dropped - known.length));
  }

  #dropOld(): void {
    this.#bytes = this.#own.reduce((bytes, { size }) => bytes + size, 0);
    this.#events = this.#own.length;
    this.#trimmedThrough = this.#base.lastEvent;
    this.#deleted = false;
    this.#emptied = true;
    this.#dropped = 0;
  }

  #dropOne(): void {
    const measure = this.#oldest();
    if (measure === undefined) throw NEEDS_MEASURES;
    this.#dropped++;
    this.#events--;
    this.#bytes -= measure.size;
    this.#trimmedThrough = measure.position;
    this.#deleted = false;
  }

  #empty(): void {
    this.#emptied = true;
    this.#dropped = this.#own.length;
    this.#events = 0;
    this.#bytes = 0;
  }

  /** The oldest kept event, if it is known. */
  #oldest(): Measure | undefined {
    if (this.#emptied) return this.#own[this.#dropped];
    const { known, complete } = this.#measures;
    if (this.#dropped < known.length) return known[this.#dropped];
    return complete ? this.#own[this.#dropped - known.length] : undefined;
  }
}
