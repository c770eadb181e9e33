import type { Session } from "./nats-session.ts";

/** What of a topic is no longer needed. */
interface Trimmed {
  readonly subject: string;
  /** Messages before this one. */
  readonly before: number;
  readonly idsUntil: number;
  readonly isDeleted: boolean;
}

interface Due {
  before: number;
  at: number;
}

/** How many topics may wait to be cleared; more are found again when they are next written to. */
const MAX_WAITING = 50_000;
const MAX_AT_ONCE = 200;

/** Removes from the stream what the log does not need any more. What readers see does not depend on it. */
export class Collector {
  readonly #delayMs: number;
  readonly #due = new Map<string, Due>();
  #isCollecting = false;

  constructor(timeoutMs: number) {
    // As long as somebody may still be finding out what became of a publish.
    this.#delayMs = 2 * timeoutMs;
  }

  onTrimmed(_session: Session, { subject, before, idsUntil, isDeleted }: Trimmed): void {
    const now = Date.now();
    const at = isDeleted ? now : Math.max(now + this.#delayMs, idsUntil);
    const due = this.#due.get(subject);
    if (due !== undefined) {
      due.before = before;
      due.at = isDeleted ? at : due.at;
      return;
    }
    if (this.#due.size < MAX_WAITING) this.#due.set(subject, { before, at });
  }

  /** Called now and then. */
  collect(session: Session): void {
    if (this.#isCollecting) return;
    const now = Date.now();
    const ripe: [string, Due][] = [];
    for (const [subject, due] of this.#due) {
      if (due.at <= now && ripe.length < MAX_AT_ONCE) ripe.push([subject, due]);
    }
    for (const [subject] of ripe) this.#due.delete(subject);
    if (ripe.length === 0) return;
    this.#isCollecting = true;
    void this.#purge(session, ripe).finally(() => {
      this.#isCollecting = false;
    });
  }

  async expire(_session: Session, _horizon: number): Promise<void> {
    // Walks the stream.
  }

  async #purge(session: Session, ripe: readonly [string, Due][]): Promise<void> {
    for (const [subject, { before }] of ripe) {
      try {
        await session.link.ask("STREAM.PURGE.{stream}", { filter: subject, seq: before });
      } catch {
        // The next publish to the topic finds it again.
        return;
      }
    }
  }
}
