import { joinPulse, leavePulse, PulseMember } from "../session/pulse.ts";

/** How often leases are looked at, at the least; a part of the second in which readers are to hear of a loss. */
const MAX_TICK_MS = 400;
/** What a tick may be late before the process itself must have slept. */
const SLACK_MS = 500;
/** Processes that are remembered; over it the longest silent are forgotten. */
const MAX_NODES = 1000;

export interface LeaseHost {
  /** Whether this process has anything that others rely on. */
  isNeeded(): boolean;
  /** Says that this process lives. */
  renew(): Promise<void>;
  /** Called every now and then, to see whose leases are over. */
  check(): void;
}

/**
 * Who lives. Each process says so as long as it has runs, three times in a lease, and listens to the others. Time is
 * counted on a monotonic clock and only while this process was awake: one that has slept did not listen, and must not
 * judge by what it missed.
 */
export class Leases extends PulseMember {
  readonly #leaseMs: number;
  readonly #host: LeaseHost;
  readonly #tickMs: number;
  readonly #signs = new Map<string, number>();
  #awakeMs = 0;
  #lastTick = performance.now();
  #renewedAt = Number.NEGATIVE_INFINITY;
  #renewing = false;

  constructor(leaseMs: number, host: LeaseHost) {
    super();
    this.#leaseMs = leaseMs;
    this.#host = host;
    this.#tickMs = Math.min(leaseMs / 4, MAX_TICK_MS);
    joinPulse(this, this.#tickMs);
  }

  /** `node` has shown that it lives. */
  sign(node: string): void {
    // Set anew, so that the map's order is that of the signs.
    this.#signs.delete(node);
    this.#signs.set(node, this.#awakeMs);
    if (this.#signs.size > MAX_NODES) this.#signs.delete(this.#signs.keys().next().value as string);
  }

  /** `node` has gone. */
  expire(node: string): void {
    this.#signs.set(node, Number.NEGATIVE_INFINITY);
  }

  /** Whether `node` has been silent for a lease. One that was never heard of has its lease from now on. */
  isExpired(node: string): boolean {
    const sign = this.#signs.get(node);
    if (sign === undefined) this.sign(node);
    return sign !== undefined && this.#awakeMs - sign > this.#leaseMs;
  }

  close(): void {
    leavePulse(this);
  }

  /** @internal */
  override onPulse(now: number): number {
    const passedMs = now - this.#lastTick;
    if (passedMs <= this.#tickMs + SLACK_MS) this.#awakeMs += passedMs;
    this.#lastTick = now;
    if (this.#host.isNeeded() && now - this.#renewedAt >= this.#leaseMs / 3) void this.#renew(now);
    this.#host.check();
    return this.#tickMs;
  }

  async #renew(now: number): Promise<void> {
    if (this.#renewing) return;
    this.#renewing = true;
    try {
      await this.#host.renew();
      this.#renewedAt = now;
    } catch {
      // Without the log nobody can be told, nor be judged: the next tick tries again.
    } finally {
      this.#renewing = false;
    }
  }
}
