import { invalidOption } from "../errors.ts";
import { assertObject } from "../input.ts";
import { encodeEvent } from "../protocol/index.ts";
import { CLOSE_REASONS, type CloseReason } from "../session/close-reason.ts";
import { drainSpread } from "../session/drain-spread.ts";
import { drainSessions } from "../session/group.ts";
import type { Meter } from "./meter.ts";
import type { SessionHolder, SessionInfo, SessionOutlet } from "./session-outlet.ts";

/**
 * Which sessions: those that fit everything that is given, at least one of the two, or those that a function picks. All
 * are picked by a function alone, `() => true`: what was to be given and is not there must not end everybody.
 */
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

  /**
   * Ends the sessions that fit, once all have been looked at. Returns how many.
   *
   * @throws EverstreamError `INVALID_OPTION`: nobody was ended.
   */
  disconnect(filter: SessionFilter, reason: CloseReason): number {
    if (!CLOSE_REASONS.includes(reason)) {
      throw invalidOption(`The reason is ${String(reason)}, but must be one of ${CLOSE_REASONS.join(", ")}.`);
    }
    const fits = fitsOf(filter);
    const chosen = this.#open.filter(({ info }) => fits(info));
    for (const { session } of chosen) session.end(reason);
    return chosen.length;
  }

  /**
   * Ends all sessions over `within` milliseconds, in an order of chance, each with its position and a time of its own to
   * come back.
   */
  async drain(within: number): Promise<void> {
    // A listener may be who closes the hub: what it was called in the midst of, as all are told of a gap, comes first.
    await Promise.resolve();
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

/** @throws EverstreamError `INVALID_OPTION`. */
function fitsOf(filter: SessionFilter): (info: SessionInfo) => boolean {
  if (typeof filter === "function") return (info) => isPicked(filter(info));
  assertObject("filter", filter);
  const criteria = Object.entries(filter);
  for (const [name, value] of criteria) {
    if ((name === "topic" || name === "key") && typeof value === "string") continue;
    throw invalidOption(
      `The filter has ${String(value)} for \`${name}\`; give \`topic\` or \`key\`, or both, as strings, and leave out what is not to count.`,
    );
  }
  if (criteria.length === 0) {
    throw invalidOption(
      "The filter names nothing; give `topic` or `key`, or `() => true` to end all sessions.",
    );
  }
  const { topic, key } = filter;
  return (info) =>
    (topic === undefined || info.topics.includes(topic)) && (key === undefined || key === info.key);
}

/** What is no clear yes or no, as a promise, has not been thought through. */
function isPicked(verdict: boolean): boolean {
  if (typeof verdict === "boolean") return verdict;
  throw invalidOption(
    `The filter's function gave a value of type ${typeof verdict}, but must return true or false.`,
  );
}

function shuffled<Item>(items: Item[]): Item[] {
  for (let index = items.length - 1; index > 0; index--) {
    const other = Math.floor(Math.random() * (index + 1));
    [items[index], items[other]] = [items[other] as Item, items[index] as Item];
  }
  return items;
}
