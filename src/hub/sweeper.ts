import { joinPulse, leavePulse, PulseMember } from "../session/pulse.ts";
import { report } from "../session/report.ts";
import type { Live } from "./live.ts";

/** How often the log is asked to let go of what is over its age. */
const SWEEP_MS = 1000;

/** Has the log let go of what is over its age. */
export class Sweeper extends PulseMember {
  readonly #live: Live;
  #sweeping = false;

  constructor(live: Live) {
    super();
    this.#live = live;
    joinPulse(this, SWEEP_MS);
  }

  stop(): void {
    leavePulse(this);
  }

  /** @internal */
  override onPulse(): number {
    this.#live.pages.sweep();
    if (!this.#sweeping) void this.#sweep();
    return SWEEP_MS;
  }

  async #sweep(): Promise<void> {
    this.#sweeping = true;
    try {
      await this.#live.connection.expire(Date.now());
    } catch (error) {
      if (!this.#live.closed) report("The log could not remove what is over its age", error);
    } finally {
      this.#sweeping = false;
    }
  }
}
