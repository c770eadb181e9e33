import type { GapData } from "../protocol/index.ts";
import { joinPulse, leavePulse, PulseMember } from "../session/pulse.ts";
import { report } from "../session/report.ts";
import { type Audience, RETRY_READ_MS } from "./audience.ts";
import type { Frame } from "./frame.ts";
import type { TopicState } from "./log.ts";
import type { Outlet } from "./outlet.ts";
import type { SharedPage } from "./pages.ts";
import type { Slice, Work } from "./pump.ts";

/** How often a reader is told of a position that moved without an event for it. Less than a heartbeat, which it saves. */
const CHECKPOINT_MS = 10_000;

/** What a reader needs to begin. */
export interface ReaderStart {
  /** It gets what comes after this sequence. */
  readonly cursor: number;
  /** Topics that miss events after the cursor, with the sequence through which the client knows of it. */
  readonly told?: Map<string, number> | undefined;
}

/**
 * A cursor on an audience's topics. It never has a queue: what it has not handed over yet is in the audience's ring, or,
 * where the ring has passed it, in the log. At the start, after being slow and after a hole in the feed it reads pages of
 * the log until it has reached the ring, and goes over in one synchronous step; so there is no window between the two,
 * and nothing to drop but frames that the cursor has passed.
 */
export class Reader extends PulseMember implements Work {
  readonly audience: Audience;
  readonly outlet: Outlet;
  /** Its place among the audience's readers, theirs to set. */
  slot = -1;
  /** The next frame of the ring; means nothing while reading the log. */
  index = 0;
  /** The sequence through which everything was handed over, at least. */
  cursor: number;
  queued = false;
  readonly hasMore = false;

  /** The sequence through which the other side knows that it has everything: its last event or checkpoint. */
  #known: number;
  #told: Map<string, number> | undefined;
  #fromLog = true;
  #reading = false;
  #left = false;
  /** Counts the jumps to a new epoch: what was read before one is void. */
  #epoch = 0;

  constructor(audience: Audience, outlet: Outlet, { cursor, told }: ReaderStart) {
    super();
    this.audience = audience;
    this.outlet = outlet;
    this.cursor = cursor;
    this.#known = cursor;
    this.#told = told;
    audience.add(this);
    if (outlet.wantsCheckpoints) joinPulse(this, CHECKPOINT_MS);
  }

  get left(): boolean {
    return this.#left;
  }

  /** Whether it holds frames of the ring back from being let go: it is on its way there. */
  get fromLog(): boolean {
    return this.#fromLog;
  }

  /** The sequence through which everything was handed over. */
  get position(): number {
    const { ring } = this.audience;
    const atEnd = !this.#fromLog && this.index === ring.end;
    return atEnd ? Math.max(this.cursor, this.audience.through) : this.cursor;
  }

  /** Ends it. May be called twice. */
  leave(): void {
    if (this.#left) return;
    this.#left = true;
    leavePulse(this);
    this.audience.remove(this);
  }

  /** The outlet has room (again). */
  wake(): void {
    if (this.#left) return;
    if (this.#fromLog) {
      this.#follow();
    } else if (this.index < this.audience.ring.end || this.audience.isFinished) {
      this.audience.pump.add(this);
      this.audience.pump.kick();
    }
  }

  run(slice: Slice): boolean {
    this.advance(slice);
    return true;
  }

  /** Hands over what the ring holds for it, as long as there is room. */
  advance(slice: Slice): void {
    if (this.#fromLog || this.#left) return;
    const { audience, outlet } = this;
    const { ring } = audience;
    while (this.index < ring.end) {
      if (outlet.full) return;
      if (this.index < ring.start) {
        this.#fromLog = true;
        this.#follow();
        return;
      }
      // The log may have been ahead of the feed.
      if ((ring.at(this.index) as Frame).sequence <= this.cursor) {
        this.index = ring.indexAfter(this.cursor);
        continue;
      }
      const { to, last, events, gaps } = outlet.take(ring, this.index);
      slice.count();
      audience.meter.delivered += events;
      if (gaps !== undefined) for (const gap of gaps) audience.meter.gap(gap);
      this.index = to;
      this.cursor = last;
      this.#known = last;
      // What it was given may have ended it.
      if (this.#left) return;
    }
    if (audience.isFinished) this.#finishAt(this.position);
  }

  /** The feed has a hole: what comes after the position has to be read from the log, once the ring has jumped. */
  onHole(): void {
    this.cursor = this.position;
    this.#fromLog = true;
  }

  /** The log's data is not what it was: what comes is as at a first opening. */
  onEpoch(gap: GapData, head: number): void {
    this.#epoch++;
    this.cursor = head;
    this.#known = head;
    this.#told = undefined;
    this.#fromLog = false;
    this.index = this.audience.ring.end;
    this.#tellGap(gap);
    this.outlet.checkpoint(gap.next);
  }

  /** @internal */
  override onPulse(): number {
    this.#checkpoint();
    return CHECKPOINT_MS;
  }

  /** To the ring, if it reaches back far enough; else to the log. */
  #follow(): void {
    if (this.cursor >= this.audience.ring.base) this.#goOver();
    else if (!this.#reading) void this.#readLog();
  }

  async #readLog(): Promise<void> {
    this.#reading = true;
    try {
      while (this.#fromLog && !this.#left && !this.outlet.full) {
        const epoch = this.#epoch;
        const page = await this.audience.readPage(this.cursor, this.outlet.compaction);
        if (this.#left || epoch !== this.#epoch) continue;
        this.#takePage(page);
        if (this.#left) return;
        if (this.cursor >= this.audience.ring.base) this.#goOver();
      }
    } catch (error) {
      this.#onReadError(error);
    } finally {
      this.#reading = false;
    }
  }

  #takePage(shared: SharedPage): void {
    const { page } = shared;
    this.audience.note(page.topics);
    page.topics.forEach((state, index) => {
      this.#tellIfTrimmed(this.audience.topics[index] as string, state, page.head);
    });
    if (page.entries.length > 0) {
      this.audience.meter.delivered += this.outlet.takePage(shared);
      this.#known = page.entries.at(-1)?.sequence ?? this.#known;
    }
    this.cursor = page.through;
  }

  /** From the log to the ring, which holds everything after the cursor. */
  #goOver(): void {
    const { audience } = this;
    this.#fromLog = false;
    this.#told = undefined;
    this.index = audience.ring.indexAfter(this.cursor);
    if (!audience.isFinished) this.#checkpoint();
    this.wake();
  }

  #tellIfTrimmed(topic: string, state: TopicState, head: number): void {
    const knownTo = Math.max(this.cursor, this.#told?.get(topic) ?? 0);
    if (state.trimmedThrough <= knownTo) return;
    this.#told ??= new Map();
    this.#told.set(topic, state.trimmedThrough);
    this.#tellGap(this.audience.gapOf(topic, state, knownTo, head));
  }

  #tellGap(gap: GapData): void {
    this.audience.meter.gap(gap);
    this.outlet.tellGap(gap);
  }

  #checkpoint(): void {
    const { position } = this;
    if (position <= this.#known || !this.outlet.wantsCheckpoints || this.outlet.full) return;
    this.cursor = position;
    this.#known = position;
    this.outlet.checkpoint(this.audience.format(position));
  }

  #finishAt(position: number): void {
    if (position < this.audience.finishedAt) return;
    this.leave();
    this.outlet.finish(this.audience.format(position));
  }

  #onReadError(error: unknown): void {
    if (this.#left || this.audience.closed) return;
    report("Reading the log failed, and will be tried again", error);
    setTimeout(() => this.wake(), RETRY_READ_MS);
  }
}
