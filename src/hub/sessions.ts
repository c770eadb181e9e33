import { encodeEvent } from "../protocol/index.ts";
import type { CloseReason } from "../session/close-reason.ts";
import { drainSpread } from "../session/drain-spread.ts";
import { drainSessions } from "../session/group.ts";
import type { Meter } from "./meter.ts";
import type { SessionHolder, SessionInfo, SessionOutlet } from "./session-outlet.ts";

/** Which sessions: those that fit everything that is given, or those that a function picks. */
export type SessionFilter =
  | { readonly topic?: string; readonly key?: string }
  | ((session: SessionInfo) => boolean);

/** How many sessions there may be. */
export interface SessionCaps {
  readonly maxSessions: number;
  readonly maxSessionsPerKey: number;
}

/** A hub's open sessions. */
export class Sessions implements SessionHolder {
  /** In no order: each knows its place, which costs less than a set. */
  readonly #open: SessionOutlet[] = [];
  readonly #perKey = new Map<string, number>();
  readonly #caps: SessionCaps;
  readonly #meter: Meter;

  constructor(caps: SessionCaps, meter: Meter) {
    this.#caps = caps;
    this.#meter = meter;
  }

  get size(): number {
    return this.#open.length;
  }

  /** No more can be opened. */
  get isFull(): boolean {
    return this.#open.length >= this.#caps.maxSessions;
  }

  /** No more can be opened with this key. */
  isFullFor(key: string | undefined): boolean {
    return key !== undefined && (this.#perKey.get(key) ?? 0) >= this.#caps.maxSessionsPerKey;
  }

  add(outlet: SessionOutlet): void {
    outlet.slot = this.#open.push(outlet) - 1;
    this.#count(outlet.key, 1);
    this.#meter.opened(outlet);
  }

  remove(outlet: SessionOutlet, reason: CloseReason): void {
    const last = this.#open.pop() as SessionOutlet;
    if (last !== outlet) {
      this.#open[outlet.slot] = last;
      last.slot = outlet.slot;
    }
    this.#count(outlet.key, -1);
    this.#meter.closed(outlet, reason);
  }

  /** Ends the sessions that fit. Returns how many. */
  disconnect(filter: SessionFilter, reason: CloseReason): number {
    const fits = typeof filter === "function" ? filter : (info: SessionInfo) => fitsAll(info, filter);
    let ended = 0;
    for (const { info, session } of [...this.#open]) {
      if (!fits(info)) continue;
      session.end(reason);
      ended++;
    }
    return ended;
  }

  /**
   * Ends all sessions over `within` milliseconds, in an order of chance, each with its position and a time of its own to
   * come back.
   */
  async drain(within: number): Promise<void> {
    // Sessions whose opening was under way may still come.
    while (this.#open.length > 0) {
      const outlets = shuffled([...this.#open]);
      await drainSessions(
        outlets.map(({ session }) => session),
        within,
        (index) => (outlets[index] as SessionOutlet).place,
      );
    }
  }

  /** A reconnection time for a client that is refused while all others are sent away. */
  retryMs(): number {
    return Math.round(Math.random() * drainSpread(this.#open.length));
  }

  #count(key: string | undefined, change: 1 | -1): void {
    if (key === undefined) return;
    const count = (this.#perKey.get(key) ?? 0) + change;
    if (count > 0) this.#perKey.set(key, count);
    else this.#perKey.delete(key);
  }
}

/** What a client is told that can't be let in now: the standard's clients go away for good at anything but 200. */
export function comeBackBlock(why: string, retryMs: number): string {
  return encodeEvent({ comment: why, retry: retryMs });
}

function fitsAll(info: SessionInfo, filter: { readonly topic?: string; readonly key?: string }): boolean {
  if (filter.topic !== undefined && !info.topics.includes(filter.topic)) return false;
  return filter.key === undefined || filter.key === info.key;
}

function shuffled<Item>(items: Item[]): Item[] {
  for (let index = items.length - 1; index > 0; index--) {
    const other = Math.floor(Math.random() * (index + 1));
    [items[index], items[other]] = [items[other] as Item, items[index] as Item];
  }
  return items;
}
