/**
 * Bytes that were written and that the transport has not taken, and for how long it has taken none of them. Time is counted
 * only as far as this process was awake: where it slept, nobody saw whether the client took anything, and what it did take
 * is seen a turn later.
 */
export class Held {
  #lookedAt: number;
  #stalledMs = 0;
  /** How many there were at first and have come since, and how many of these were taken. */
  #written: number;
  #taken = 0;

  /** @param pending How many the transport holds now. */
  constructor(now: number, pending: number) {
    this.#lookedAt = now;
    this.#written = pending;
  }

  add(length: number): void {
    this.#written += length;
  }

  /**
   * For how long the transport, which holds so many now, has taken none, as far as was looked.
   *
   * @param mostMs What is counted at the most since the last look, so that one that comes late decides nothing alone.
   */
  stalledFor(now: number, pending: number, mostMs: number): number {
    const taken = this.#written - pending;
    this.#stalledMs = taken === this.#taken ? this.#stalledMs + Math.min(now - this.#lookedAt, mostMs) : 0;
    this.#lookedAt = now;
    this.#taken = taken;
    return this.#stalledMs;
  }
}
