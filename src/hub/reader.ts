import type { GapData } from "../protocol/index.ts";
import { report } from "../session/report.ts";
import type { Audience } from "./audience.ts";
import { RETRY_READ_MS } from "./audience-host.ts";
import { NO_FLOORS } from "./floors.ts";
import type { Frame } from "./frame.ts";
import type { Outlet } from "./outlet.ts";
import type { SharedPage } from "./pages.ts";
import type { Slice, Work } from "./pump.ts";
import { type ReaderStart, Recipient } from "./recipient.ts";
import { LatestByKey, type SlowPolicies } from "./slow.ts";

/** In place of an index, for who reads the log: it is its past that is read, or it was live, and the ring has passed it. */
const PAST = -1;
const PASSED = -2;

/**
 * A cursor on an audience's topics. It never has a queue: what it has not handed over yet is in the audience's ring, or,
 * where the ring has passed it, in the log. At the start, after being slow and after a hole in the feed it reads pages of
 * the log until it has reached the ring, and goes over in one synchronous step; so there is no window between the two,
 * and nothing to drop but frames that the cursor has passed.
 */
export class Reader extends Recipient implements Work {
  /** Its place among the audience's readers, theirs to set; none when it has left. */
  slot = -1;
  /** The next frame of the ring; {@link PAST} or {@link PASSED} while reading the log. */
  index = PAST;
  queued = false;

  #reading = false;

  constructor(audience: Audience, outlet: Outlet, start: ReaderStart) {
    super(audience, outlet, start);
    audience.add(this);
  }

  get hasMore(): boolean {
    return false;
  }

  get left(): boolean {
    return this.slot < 0;
  }

  /** Whether it holds frames of the ring back from being let go: it is on its way there. */
  get fromLog(): boolean {
    return this.index < 0;
  }

  /** The sequence through which everything was handed over. */
  get position(): number {
    const { ring } = this.audience;
    const atEnd = !this.fromLog && this.index === ring.end;
    return atEnd ? Math.max(this.cursor, this.audience.through) : this.cursor;
  }

  /** Ends it. May be called twice. */
  leave(): void {
    if (this.left) return;
    this.audience.slow?.forget(this);
    this.audience.remove(this);
  }

  /** The outlet has room (again). */
  wake(): void {
    if (this.left) return;
    if (this.fromLog) {
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
    if (this.left) return;
    try {
      this.#advance(slice);
    } catch (error) {
      this.fail(error);
    }
  }

  #advance(slice: Slice): void {
    const { audience, outlet } = this;
    if (this.fromLog) {
      this.lookIfSlow();
      return;
    }
    const { ring } = audience;
    while (this.index < ring.end) {
      if (outlet.full) {
        this.lookIfSlow();
        return;
      }
      if (this.index < ring.start) {
        this.index = PASSED;
        this.#follow();
        // A policy may have taken it back to the ring at once, and this pass is the only one that comes to it.
        if (this.fromLog || this.left) return;
        continue;
      }
      const frame = ring.at(this.index) as Frame;
      if (frame.sequence <= this.cursor) {
        // The log may have been ahead of the feed.
        this.index = ring.indexAfter(this.cursor);
        continue;
      }
      if (frame.sequence <= this.floors.highest) {
        this.index++;
        this.takeOne(frame);
      } else {
        const { to, last, events, gaps } = outlet.take(ring, this.index);
        audience.meter.delivered += events;
        if (gaps !== undefined) for (const gap of gaps) audience.meter.gap(gap);
        this.index = to;
        this.cursor = last;
        this.known = last;
      }
      slice.count();
      // What it was given may have ended it.
      if (this.left) return;
    }
    audience.slow?.forget(this);
    if (audience.isFinished) this.#finishAt(this.position);
  }

  /** Not all that comes after the position is in the ring any more: it has to be read from the log, once this is over. */
  onHole(): void {
    this.cursor = this.position;
    this.index = PAST;
  }

  /** The log's data is not what it was, but for what is `kept`, and that is all that it has seen. */
  onKept(kept: number): void {
    this.floors = this.floors.within(kept);
    this.wake();
  }

  /** The log's data is not what it was: what comes is as at a first opening. */
  onEpoch(gap: GapData, head: number): void {
    this.cursor = head;
    this.known = head;
    this.floors = NO_FLOORS;
    this.index = this.audience.ring.end;
    this.tellGap(gap);
    this.outlet.checkpoint(gap.next);
  }

  /** Tells the other side its position, where that has moved without an event for it. */
  checkpoint(): void {
    const { position } = this;
    if (position >= this.floors.highest) this.floors = NO_FLOORS;
    if (position <= this.known || this.outlet.full) return;
    this.cursor = position;
    this.known = position;
    this.outlet.checkpoint(this.audience.format(position));
  }

  /** Events wait: where there is no room for them, and it is not the past that is read, it is behind from now on. */
  lookIfSlow(): void {
    const { slow, ring } = this.audience;
    if (slow === undefined || this.left || !this.outlet.full || this.index === PAST) return;
    slow.noteFull(this);
    // Who takes nothing at all is only ever met while it has no room.
    if (this.index >= ring.start || !slow.isSlow(this)) return;
    if (this.#lostTopics().some((topic) => slow.of(topic) === "disconnect")) this.outlet.cut();
  }

  /** To the ring, if it reaches back far enough; else to the log. */
  #follow(): void {
    if (this.cursor >= this.audience.ring.base) this.#goOver();
    else if (!this.#reading) void this.#readLog();
  }

  async #readLog(): Promise<void> {
    this.#reading = true;
    let { epochs } = this.audience;
    try {
      while (this.fromLog && !this.left && !this.outlet.full) {
        epochs = this.audience.epochs;
        const slow = this.#slowPolicies();
        if (slow !== undefined && (await this.#fallBehind(slow))) continue;
        const found = this.audience.readPage(this.cursor, this.outlet.compaction);
        // A page that is at hand leaves together with what opens the stream.
        const page = found instanceof Promise ? await found : found;
        // What was read in an epoch before is void.
        if (this.left || epochs !== this.audience.epochs) continue;
        this.#takePage(page);
        if (this.left) return;
        if (this.cursor >= this.audience.ring.base) this.#goOver();
      }
      // Nobody may be publishing any more, and no pass come by to see it.
      this.lookIfSlow();
    } catch (error) {
      // What an epoch cut into is read anew in the next one.
      if (epochs === this.audience.epochs) this.#onReadError(error);
    } finally {
      this.#reading = false;
    }
    if (epochs !== this.audience.epochs) this.wake();
  }

  #takePage(shared: SharedPage): void {
    this.notePage(shared.page);
    this.handOver(shared);
    this.cursor = shared.page.through;
  }

  /**
   * The policies that hold for it now, if any. Only of who was passed by the ring does the ring know what it has lost. Who
   * wants the past in fewer words gets all of it in fewer words.
   */
  #slowPolicies(): SlowPolicies | undefined {
    const { slow } = this.audience;
    if (slow === undefined || this.index === PAST || this.outlet.compaction !== undefined) return undefined;
    return slow.isSlow(this) ? slow : undefined;
  }

  /** The topics of which events have left the ring that were neither handed over nor told to be missing. */
  #lostTopics(): string[] {
    const { topics, ring } = this.audience;
    return topics.filter((topic) => (ring.lost?.get(topic) ?? 0) > this.knownOf(topic));
  }

  /** Does what the policies say. Returns whether that was all, so that no page has to be read for now. */
  async #fallBehind(slow: SlowPolicies): Promise<boolean> {
    const { audience, outlet } = this;
    const lost = this.#lostTopics();
    if (lost.some((topic) => slow.of(topic) === "disconnect")) {
      outlet.cut();
      return true;
    }
    const dropped = lost.filter((topic) => slow.of(topic) === "dropOldest");
    for (const topic of dropped) this.drop(topic);
    if (dropped.length > 0 && dropped.length === lost.length) {
      this.cursor = audience.ring.base;
      this.#goOver();
      return true;
    }
    if (!lost.some((topic) => slow.of(topic) === "latestByKey")) return false;
    await this.#takeLatest(slow);
    return true;
  }

  /** Reads what it fell behind by, and hands over the newest of each key. */
  async #takeLatest(slow: SlowPolicies): Promise<void> {
    const { audience } = this;
    const { epochs } = audience;
    const latest = new LatestByKey(slow);
    let after = this.cursor;
    let shared: SharedPage;
    do {
      shared = await audience.readPage(after);
      if (this.left || epochs !== audience.epochs) return;
      this.notePage(shared.page, (topic) => slow.of(topic) === "latestByKey");
      for (const entry of this.visible(shared).page.entries) latest.add(entry);
      after = shared.page.through;
    } while (after < audience.ring.base && !latest.isFull);
    for (const topic of latest.thinned) audience.meter.dropped(topic, "latestByKey");
    this.handOver(shared.with(latest.entries));
    this.cursor = after;
    if (!this.left && after >= audience.ring.base) this.#goOver();
  }

  /** From the log to the ring, which holds everything after the cursor. */
  #goOver(): void {
    const { audience } = this;
    this.index = audience.ring.indexAfter(this.cursor);
    if (!audience.isFinished) this.checkpoint();
    this.wake();
  }

  #finishAt(position: number): void {
    if (position < this.audience.finishedAt) return;
    this.leave();
    this.outlet.finish(this.audience.format(position));
  }

  #onReadError(error: unknown): void {
    if (this.left || this.audience.closed) return;
    report("Reading the log failed, and will be tried again", error);
    setTimeout(() => this.wake(), RETRY_READ_MS);
  }
}
