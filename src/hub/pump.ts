import { atTurnEnd, type TurnMember } from "../session/turn.ts";
import { Deque } from "./deque.ts";

/** How long one turn of the event loop may be used for writing, or for publishing without a pause, in milliseconds. */
const SLICE_MS = 1;
/** The clock is read every so many writes: less often than that, and slow writes would overrun the slice unseen. */
const WRITES_PER_LOOK = 16;
/** Some writes only begin their work here and finish it after this turn, where no clock sees it. */
const MAX_WRITES = 128;
/** A publisher waits once so much of what it published has not been offered to everybody. */
const MAX_UNSENT = 64;

/** Something that has bytes to write. */
export interface Work {
  /** In the pump's queue; the pump's to set. */
  queued: boolean;
  /** Writes until the slice is spent. Returns whether it has come round to everybody it has to write to. */
  run(slice: Slice): boolean;
  /** Whether more has come since. */
  readonly hasMore: boolean;
}

/** A share of the event loop's time. */
export class Slice {
  #endsAt = 0;
  #writes = 0;
  #spent = true;

  get spent(): boolean {
    return this.#spent;
  }

  start(endsAt: number): void {
    this.#endsAt = endsAt;
    this.#writes = 0;
    this.#spent = false;
  }

  /** To be called after each write. */
  count(): void {
    if (++this.#writes % WRITES_PER_LOOK !== 0) return;
    if (this.#writes >= MAX_WRITES || performance.now() >= this.#endsAt) this.#spent = true;
  }
}

/**
 * Writes to all readers in slices of a millisecond, so that however many there are, the event loop goes round. While
 * there is little to do, everything is written in the turn in which it was published. What is published while the pump
 * is busy gathers, and leaves as fewer, longer writes.
 *
 * Publishers are held back by {@link Pump.pressure}: a loop that awaits each publish would otherwise never let go of
 * the event loop, because nothing that it waits for needs a turn of it.
 */
export class Pump implements TurnMember {
  /** Work of this round, and of the next: a round ends when everything in it has come round once. */
  #round = new Deque<Work>();
  #next = new Deque<Work>();
  readonly #slice = new Slice();
  #running = false;
  /** {@link Pump.onTurnEnd} is due. */
  #inTurn = false;
  /** Until when this turn may be used for writing as soon as something is published. */
  #writeUntil = 0;
  /** Until when this turn may be used for publishing. */
  #publishUntil = 0;
  #turnGate: Gate | undefined;
  #roundGate: Gate | undefined;
  /** Somebody was made to wait in this turn: there is more to publish than can be written one by one. */
  #pressed = false;

  add(work: Work): void {
    if (work.queued) return;
    work.queued = true;
    this.#next.push(work);
  }

  /** Writes now what this turn has time for, and the rest from the turn's end on. */
  kick(): void {
    if (this.#running) return;
    const now = performance.now();
    if (!this.#inTurn) {
      this.#inTurn = true;
      this.#writeUntil = now + SLICE_MS;
      this.#publishUntil = this.#writeUntil;
      atTurnEnd(this);
    }
    if (now < this.#writeUntil) this.#run(this.#writeUntil);
  }

  /** What a publisher has to wait for, if anything, whose topic has so much that was not offered to everybody. */
  pressure(unsent: number): Promise<void> | undefined {
    if (unsent >= MAX_UNSENT && !this.#isIdle) {
      this.#pressed = true;
      this.#roundGate ??= new Gate();
      return this.#roundGate.promise;
    }
    if (this.#inTurn && performance.now() >= this.#publishUntil) {
      this.#pressed = true;
      this.#turnGate ??= new Gate();
      return this.#turnGate.promise;
    }
    return undefined;
  }

  /** Called when the turn ends. */
  onTurnEnd(): void {
    this.#run(performance.now() + SLICE_MS);
    // Under pressure what is published in the next turn gathers, to be written at its end in fewer, longer writes.
    this.#inTurn = this.#pressed || !this.#isIdle;
    this.#pressed = false;
    if (this.#inTurn) {
      this.#writeUntil = 0;
      this.#publishUntil = performance.now() + SLICE_MS;
      atTurnEnd(this);
    }
    this.#turnGate?.open();
    this.#turnGate = undefined;
  }

  get #isIdle(): boolean {
    return this.#round.length === 0 && this.#next.length === 0;
  }

  #run(endsAt: number): void {
    this.#running = true;
    this.#slice.start(endsAt);
    try {
      while (!this.#slice.spent) {
        const work = this.#round.shift() ?? this.#nextRound();
        if (work === undefined) break;
        this.#do(work);
        if (this.#round.length === 0) this.#endRound();
      }
    } finally {
      this.#running = false;
    }
  }

  #do(work: Work): void {
    if (!work.run(this.#slice)) {
      this.#round.push(work);
    } else if (work.hasMore) {
      this.#next.push(work);
    } else {
      work.queued = false;
    }
  }

  #nextRound(): Work | undefined {
    const round = this.#round;
    this.#round = this.#next;
    this.#next = round;
    return this.#round.shift();
  }

  #endRound(): void {
    this.#roundGate?.open();
    this.#roundGate = undefined;
  }
}

class Gate {
  readonly promise: Promise<void>;
  open: () => void = () => undefined;

  constructor() {
    this.promise = new Promise((resolve) => {
      this.open = resolve;
    });
  }
}
