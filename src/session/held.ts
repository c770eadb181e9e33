/** Bytes that were written and that the transport has not taken, and since when it has taken none of them. */
export class Held {
  #since: number;
  /** How many there were at first and have come since, and how many of these were taken. */
  #written: number;
  #taken = 0;

  /** @param pending How many the transport holds now. */
  constructor(now: number, pending: number) {
    this.#since = now;
    this.#written = pending;
  }

  add(length: number): void {
    this.#written += length;
  }

  /** For how long the transport, which holds so many now, has taken none, as far as was looked. */
  stalledFor(now: number, pending: number): number {
    const taken = this.#written - pending;
    if (taken !== this.#taken) this.#since = now;
    this.#taken = taken;
    return now - this.#since;
  }
}
