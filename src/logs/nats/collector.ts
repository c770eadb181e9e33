import type { NatsSettings } from "./options.ts";
import type { Session } from "./session.ts";
import { Walker } from "./walker.ts";

/** What of a topic is no longer needed. */
export interface Trimmed {
  readonly subject: string;
  /** Messages before this one. */
  readonly before: number;
  readonly idsUntil: number;
  /** Whether they hold what was erased. */
  readonly isErased: boolean;
}

interface Due {
  readonly subject: string;
  before: number;
  at: number;
}

/** How many topics may wait to be cleared; more are found again when they are next written to. */
const MAX_WAITING = 50_000;
const MAX_AT_ONCE = 200;
const REMOVED_AT_ONCE = 100;

/** Removes from the stream what the log does not need any more. What readers see does not depend on it. */
export class Collector {
  readonly #delayMs: number;
  /** By topic; what is erased, and has to go at once, by itself. */
  readonly #due = new Map<string, Due>();
  readonly #walker: Walker;
  #isCollecting = false;

  constructor({ timeoutMs, sweepMs }: NatsSettings) {
    this.#walker = new Walker(sweepMs);
    // As long as somebody may still be finding out what became of a publish.
    this.#delayMs = 2 * timeoutMs;
  }

  onTrimmed({ subject, before, idsUntil, isErased }: Trimmed): void {
    const now = Date.now();
    // The ids of what is erased are carried on by the message that says so.
    if (isErased) this.#add({ subject, before, at: now }, `${subject} erased`);
    else this.#add({ subject, before, at: Math.max(now + this.#delayMs, idsUntil) });
  }

  /** Called now and then. */
  collect(session: Session): void {
    if (this.#isCollecting) return;
    const now = Date.now();
    const ripe: Due[] = [];
    for (const [key, due] of this.#due) {
      if (due.at > now || ripe.length >= MAX_AT_ONCE) continue;
      this.#due.delete(key);
      ripe.push(due);
    }
    if (ripe.length === 0) return;
    this.#isCollecting = true;
    void this.#remove(session, ripe).finally(() => {
      this.#isCollecting = false;
    });
  }

  /** Looks for what is over its age, in a bounded part of the stream. */
  async expire(session: Session, horizon: number): Promise<void> {
    const { found, forgotten } = await this.#walker.step(session, horizon);
    const now = Date.now();
    for (const { subject, before } of found) this.#add({ subject, before, at: now });
    // A topic that is forgotten may still be in somebody's mind, who is about to write to it.
    for (const { subject, before } of forgotten) this.#add({ subject, before, at: now + this.#delayMs });
  }

  #add({ subject, before, at }: Due, key = subject): void {
    const due = this.#due.get(key);
    if (due !== undefined) {
      due.before = Math.max(due.before, before);
      due.at = Math.min(due.at, at);
    } else if (this.#due.size < MAX_WAITING) {
      this.#due.set(key, { subject, before, at });
    }
  }

  async #remove(session: Session, ripe: readonly Due[]): Promise<void> {
    try {
      for (const { subject, before } of ripe) await removeBefore(session, subject, before);
    } catch {
      // The next publish to the topic, or the next walk, finds it again.
    }
  }
}

/**
 * Removes a topic's messages one by one. A purge of the subject would be one call, but nats-server 2.9 then has every
 * consumer of the stream, whatever it reads, skip all that it has not been sent yet up to the purged subject's first message.
 */
async function removeBefore(session: Session, subject: string, before: number): Promise<void> {
  for (let from = 1; ; ) {
    const messages = await session.link.fetch({ subject, from, max: REMOVED_AT_ONCE, headersOnly: true });
    const old = messages.filter(({ sequence }) => sequence < before);
    await Promise.all(old.map(({ sequence }) => session.remove(sequence)));
    const last = old.at(-1);
    if (last === undefined || old.length < REMOVED_AT_ONCE) return;
    // What the server does not let go of is left to the next walk.
    from = last.sequence + 1;
  }
}
