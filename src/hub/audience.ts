import type { GapData } from "../protocol/index.ts";
import { report } from "../session/report.ts";
import { type AudienceHost, RETRY_READ_MS } from "./audience-host.ts";
import { Ends } from "./ends.ts";
import type { Epochs } from "./epochs.ts";
import type { Frame } from "./frame.ts";
import type { Page, TopicState } from "./log.ts";
import type { Meter } from "./meter.ts";
import type { Compaction } from "./options.ts";
import type { SharedPage } from "./pages.ts";
import type { Pump, Slice, Work } from "./pump.ts";
import type { Reader } from "./reader.ts";
import type { Ring } from "./ring.ts";
import type { SlowPolicies } from "./slow.ts";

/**
 * So many readers are looked at before the first of them is written to. Ten thousand sessions do not fit into a processor's
 * caches: what it has to fetch for several at once, it does not wait for one by one. Measured: 0.5 µs of 11 for each.
 */
const LOOK_AHEAD = 8;

/** All readers of one set of topics. They share one ring of frames, and what is made of it for writing. */
export class Audience implements Work {
  readonly id: number;
  readonly key: string;
  /** Sorted, each once. */
  readonly topics: readonly string[];
  readonly ring: Ring;
  /** How slow readers are treated; none where all of them resume. */
  readonly slow: SlowPolicies | undefined;
  queued = false;
  /** How many of the readers that come next have no room. A look whose outcome nobody could see would be left out. */
  fullAhead = 0;

  readonly #host: AudienceHost;
  readonly #readers: Reader[] = [];
  /** How many need it: its readers, and openings that will become one. */
  #holders = 0;
  /** Made with the first news of a topic's end. */
  #ends: Ends | undefined;
  /** Whose turn it is in the pass that is under way. */
  #at = 0;
  /** The ring's end and weight when the pass began, and the lowest index that it has seen. */
  #passEnd = 0;
  #passWeight = 0;
  #low = 0;
  /** The ring's weight that was offered to all readers. */
  #offered = 0;

  constructor(
    id: number,
    key: string,
    topics: readonly string[],
    ring: Ring,
    host: AudienceHost,
    slow?: SlowPolicies,
  ) {
    this.id = id;
    this.key = key;
    this.topics = topics;
    this.ring = ring;
    this.slow = slow;
    this.#host = host;
  }

  get through(): number {
    return this.#host.through;
  }

  get epochs(): Epochs {
    return this.#host.epochs;
  }

  get pump(): Pump {
    return this.#host.pump;
  }

  get meter(): Meter {
    return this.#host.meter;
  }

  get closed(): boolean {
    return this.#host.closed;
  }

  /** The sequence of the last mark by which all topics are finished, or 0. */
  get finishedAt(): number {
    return this.#ends?.finishedAt ?? 0;
  }

  get isFinished(): boolean {
    return this.finishedAt > 0;
  }

  /** From here on, nothing that comes can be missed: where a reader begins that wants no past. */
  get now(): number {
    return Math.max(this.ring.base, this.#host.through);
  }

  /** How much was pushed that was not offered to all readers yet, as {@link Ring.weight} counts it. */
  get unsent(): number {
    return this.ring.weight - this.#offered;
  }

  /** Whether frames came while the pass was under way. */
  get hasMore(): boolean {
    return this.ring.end !== this.#passEnd;
  }

  hold(): void {
    this.#holders++;
  }

  release(): void {
    if (--this.#holders === 0) this.#host.letGo(this);
  }

  add(reader: Reader): void {
    this.hold();
    reader.slot = this.#readers.push(reader) - 1;
  }

  /** Takes a reader out in O(1), also in the middle of a pass: who was visited stays before the mark, who was not after. */
  remove(reader: Reader): void {
    let hole = reader.slot;
    if (hole < this.#at) {
      this.#at--;
      this.#move(this.#at, hole);
      hole = this.#at;
    }
    const last = this.#readers.length - 1;
    // Where the last one is already in the hole, it is who leaves: moving it would give it a place that is no longer one.
    if (hole !== last) this.#move(last, hole);
    this.#readers.pop();
    reader.slot = -1;
    this.release();
  }

  push(frame: Frame): void {
    this.ring.push(frame);
    this.pump.add(this);
  }

  run(slice: Slice): boolean {
    const { ring } = this;
    if (this.#at === 0) {
      this.#passEnd = ring.end;
      this.#passWeight = ring.weight;
      this.#low = ring.end;
    }
    while (this.#at < this.#readers.length) {
      if (slice.spent) return false;
      if (this.#at % LOOK_AHEAD === 0) this.#lookAhead();
      const reader = this.#readers[this.#at++] as Reader;
      reader.advance(slice);
      this.#low = Math.min(this.#low, reader.fromLog ? 0 : reader.index);
    }
    this.#at = 0;
    this.#offered = this.#passWeight;
    ring.discard(this.#low);
    return true;
  }

  /** The page after a position, when it is the reader's turn. */
  readPage(after: number, compaction?: Compaction): SharedPage | Promise<SharedPage> {
    const others = this.#host.pages.turns.enter();
    if (others === undefined) return this.#host.pages.read(this, after, compaction);
    return others.then(() => this.#host.pages.read(this, after, compaction));
  }

  format(sequence: number): string {
    return this.#host.epochs.format(sequence);
  }

  /** What to say of a topic that lost events after `knownTo`. */
  gapOf(topic: string, state: TopicState, knownTo: number, head: number): GapData {
    return {
      topic,
      reason: state.deleted ? "deleted" : "trimmed",
      after: this.format(knownTo),
      next: this.format(state.first > 0 ? state.first : Math.max(head, state.trimmedThrough)),
    };
  }

  /** What to say of a topic whose events after `knownTo` were dropped as far as they are not in the ring any more. */
  overflowOf(topic: string, knownTo: number): GapData {
    const next = this.ring.firstOf(topic)?.id ?? this.format(this.now);
    return { topic, reason: "overflow", after: this.format(knownTo), next };
  }

  /** Asks the log which topics are finished already. From now on the feed tells, too. */
  async learnEnds(): Promise<void> {
    const { epochs } = this.#host;
    try {
      const states = await this.#host.readStates(this.topics);
      // A new epoch asks for itself.
      if (epochs !== this.#host.epochs) return;
      this.note(states);
      this.pump.kick();
    } catch (error) {
      if (this.closed || this.#holders === 0 || epochs !== this.#host.epochs) return;
      report("Reading the log failed, and will be tried again", error);
      setTimeout(() => void this.learnEnds(), RETRY_READ_MS);
    }
  }

  /** The states that a page tells of its topics, as far as the feed has not told of something newer. */
  statesIn(page: Page): readonly TopicState[] {
    return this.#ends?.statesIn(page) ?? page.topics;
  }

  /** Learns from the log which topics are finished. */
  note(states: readonly TopicState[]): void {
    let isNews = false;
    states.forEach(({ finishedAt }, index) => {
      if (finishedAt > 0 && this.#withEnds().finish(this.topics[index] as string, finishedAt)) isNews = true;
    });
    if (isNews && this.isFinished) this.pump.add(this);
  }

  /** The feed has come to a topic's finish mark. */
  finish(topic: string, sequence: number): void {
    this.#withEnds().finish(topic, sequence);
    // The log may have told of it before; but only now is everybody there.
    if (this.isFinished) this.pump.add(this);
  }

  /** A topic's events are gone; `frame` tells readers so. */
  erase(topic: string, frame: Frame): void {
    this.#withEnds().erase(topic, frame.sequence);
    const behind = this.#withdraw(topic);
    this.push(frame);
    for (const reader of behind) reader.wake();
  }

  /** The feed goes on after `base`: what lies between has to be read from the log, by the readers that this returns. */
  jump(base: number): readonly Reader[] {
    // Where it is only from later on that the feed has all of the topics, the ring is still empty, and misses nothing.
    if (base <= this.ring.base) return [];
    const readers = this.leaveRing();
    this.ring.jump(base);
    return readers;
  }

  /** Takes all readers out of the ring, while its sequences mean what they did. */
  leaveRing(): readonly Reader[] {
    const readers = [...this.#readers];
    for (const reader of readers) reader.onHole();
    return readers;
  }

  /** Goes over to a new epoch, all readers having left the ring: it is for its caller to say where they go on. */
  changeEpoch(head: number): void {
    this.#ends = undefined;
    this.ring.jump(head);
    void this.learnEnds();
  }

  #lookAhead(): void {
    const end = Math.min(this.#at + LOOK_AHEAD, this.#readers.length);
    this.fullAhead = 0;
    for (let at = this.#at; at < end; at++) if ((this.#readers[at] as Reader).outlet.full) this.fullAhead++;
  }

  #move(from: number, to: number): void {
    const reader = this.#readers[from] as Reader;
    this.#readers[to] = reader;
    reader.slot = to;
  }

  /** Takes a topic's events out of the ring. Returns the readers that are sent to the log, not having come past them. */
  #withdraw(topic: string): readonly Reader[] {
    const end = this.ring.endOf(topic);
    if (end === this.ring.start) return [];
    const behind = this.#readers.filter((reader) => !reader.fromLog && reader.index < end);
    for (const reader of behind) reader.onHole();
    this.ring.discard(end);
    return behind;
  }

  #withEnds(): Ends {
    this.#ends ??= new Ends(this.topics);
    return this.#ends;
  }
}
