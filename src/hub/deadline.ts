import { joinPulse, leavePulse, PulseMember } from "../session/pulse.ts";

/** The clock can be set: how long is left is asked anew at least this often. */
const LOOK_MS = 60_000;
/** An age is drawn from this share of itself around it, so that sessions that came together do not leave together. */
const AGE_SPREAD = 0.2;

/** Calls once when a time has come, on the timer that all sessions share. */
export class Deadline extends PulseMember {
  readonly #at: number;
  readonly #onEnd: () => void;

  /** @param at In milliseconds as `Date.now()` gives them. */
  constructor(at: number, onEnd: () => void) {
    super();
    this.#at = at;
    this.#onEnd = onEnd;
    joinPulse(this, Math.min(at - Date.now(), LOOK_MS));
  }

  /** Takes it back. May be called twice. */
  cancel(): void {
    leavePulse(this);
  }

  /** @internal */
  override onPulse(): number {
    const left = this.#at - Date.now();
    if (left > 0) return Math.min(left, LOOK_MS);
    this.#onEnd();
    return 0;
  }
}

/** When a session that begins now is over its age. */
export function endOfAge(maxAgeMs: number): number {
  return Date.now() + maxAgeMs * (1 - AGE_SPREAD + 2 * AGE_SPREAD * Math.random());
}
