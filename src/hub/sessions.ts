import { encodeEvent } from "../protocol/index.ts";
import type { CloseReason } from "../session/close-reason.ts";
import { drainSpread } from "../session/drain-spread.ts";
import { drainSessions } from "../session/group.ts";
import type { Session, SessionOwner } from "../session/session.ts";
import { Deadline } from "./deadline.ts";
import type { Meter } from "./meter.ts";
import type { Reader } from "./reader.ts";
import { checkpointBlock } from "./session-outlet.ts";

/** Times are kept as whole milliseconds after this one: V8 holds small integers in the object itself. */
const CLOCK_ZERO = /* @__PURE__ */ Date.now();

/** What a hub knows of an open session. */
export interface SessionInfo {
  readonly topics: readonly string[];
  /** The `key` that it was opened with. */
  readonly key: string | undefined;
  /** When it was opened, in milliseconds as `Date.now()` gives them. */
  readonly openedAt: number;
}

/** Which sessions: those that fit everything that is given, or those that a function picks. */
export type SessionFilter =
  | { readonly topic?: string; readonly key?: string }
  | ((session: SessionInfo) => boolean);

/** What a hub ties together when it opens a session. */
export interface OpenSession {
  readonly session: Session;
  readonly reader: Reader;
  readonly key: string | undefined;
  /** When it has to end, in milliseconds as `Date.now()` gives them; infinite for never. */
  readonly endsAt: number;
}

/** How many sessions there may be. */
export interface SessionCaps {
  readonly maxSessions: number;
  readonly maxSessionsPerKey: number;
}

/** A session in its hub's list: the end of it is the end of its reader. */
class Entry implements SessionOwner {
  readonly session: Session;
  readonly reader: Reader;
  readonly key: string | undefined;
  // What a subtraction gives is kept beside the object, however small and whole; what `floor` gives is not.
  readonly #openedAt = Math.floor(Date.now() - CLOCK_ZERO);
  readonly #sessions: Sessions;
  #deadline: Deadline | undefined;

  constructor(sessions: Sessions, { session, reader, key, endsAt }: OpenSession) {
    this.session = session;
    this.reader = reader;
    this.key = key;
    this.#sessions = sessions;
    if (endsAt !== Number.POSITIVE_INFINITY) this.#deadline = new Deadline(endsAt, () => this.#expire());
  }

  get info(): SessionInfo {
    return { topics: this.reader.audience.topics, key: this.key, openedAt: this.#openedAt + CLOCK_ZERO };
  }

  /** A session that is behind keeps the cursor of its last event. */
  get checkpoint(): string {
    const { audience, position } = this.reader;
    return checkpointBlock(audience.format(position));
  }

  onSessionDrain(): void {
    this.reader.wake();
  }

  onSessionClose(reason: CloseReason): void {
    this.#deadline?.cancel();
    this.reader.leave();
    this.#sessions.remove(this, reason);
  }

  /** The client keeps its position, and may come back to be looked at anew. */
  #expire(): void {
    this.session.write(this.checkpoint);
    this.session.end("expired");
  }
}

/** A hub's open sessions. */
export class Sessions {
  readonly #entries = new Set<Entry>();
  readonly #perKey = new Map<string, number>();
  readonly #caps: SessionCaps;
  readonly #meter: Meter;

  constructor(caps: SessionCaps, meter: Meter) {
    this.#caps = caps;
    this.#meter = meter;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** No more can be opened. */
  get isFull(): boolean {
    return this.#entries.size >= this.#caps.maxSessions;
  }

  /** No more can be opened with this key. */
  isFullFor(key: string | undefined): boolean {
    return key !== undefined && (this.#perKey.get(key) ?? 0) >= this.#caps.maxSessionsPerKey;
  }

  /** Ties a reader to its session: the end of one is the end of the other. */
  add(opened: OpenSession): void {
    const entry = new Entry(this, opened);
    this.#entries.add(entry);
    this.#count(opened.key, 1);
    opened.session.owner = entry;
    this.#meter.opened(entry);
  }

  /** Called by an entry whose session has ended. */
  remove(entry: Entry, reason: CloseReason): void {
    this.#entries.delete(entry);
    this.#count(entry.key, -1);
    this.#meter.closed(entry, reason);
  }

  /** Ends the sessions that fit. Returns how many. */
  disconnect(filter: SessionFilter, reason: CloseReason): number {
    const fits = typeof filter === "function" ? filter : (info: SessionInfo) => fitsAll(info, filter);
    let ended = 0;
    for (const { info, session } of [...this.#entries]) {
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
    while (this.#entries.size > 0) {
      const entries = shuffled([...this.#entries]);
      await drainSessions(
        entries.map(({ session }) => session),
        within,
        (index) => (entries[index] as Entry).checkpoint,
      );
    }
  }

  /** A reconnection time for a client that is refused while all others are sent away. */
  retryMs(): number {
    return Math.round(Math.random() * drainSpread(this.#entries.size));
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
