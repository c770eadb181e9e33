import { encodeEvent } from "../protocol/index.ts";
import type { CloseReason } from "../session/close-reason.ts";
import { drainSpread } from "../session/drain-spread.ts";
import { drainSessions } from "../session/group.ts";
import type { Session } from "../session/session.ts";
import type { Audience } from "./audience.ts";
import { Deadline } from "./deadline.ts";
import type { Reader } from "./reader.ts";
import { checkpointBlock } from "./session-outlet.ts";

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

interface Entry {
  readonly reader: Reader;
  readonly audience: Audience;
  readonly key: string | undefined;
  readonly openedAt: number;
}

/** What a hub ties together when it opens a session. */
export interface OpenSession {
  readonly session: Session;
  readonly reader: Reader;
  readonly audience: Audience;
  readonly key: string | undefined;
  /** When it has to end, in milliseconds as `Date.now()` gives them; infinite for never. */
  readonly endsAt: number;
}

/** How many sessions there may be. */
export interface SessionCaps {
  readonly maxSessions: number;
  readonly maxSessionsPerKey: number;
}

/** A hub's open sessions. */
export class Sessions {
  /** How many ended, by reason. */
  readonly closed: Partial<Record<CloseReason, number>> = {};
  readonly #entries = new Map<Session, Entry>();
  readonly #perKey = new Map<string, number>();
  readonly #caps: SessionCaps;

  constructor(caps: SessionCaps) {
    this.#caps = caps;
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
  add({ session, reader, audience, key, endsAt }: OpenSession): void {
    this.#entries.set(session, { reader, audience, key, openedAt: Date.now() });
    this.#count(key, 1);
    const deadline =
      endsAt === Number.POSITIVE_INFINITY ? undefined : new Deadline(endsAt, () => this.#expire(session));
    session.onDrain = () => reader.wake();
    session.onClose((reason) => {
      deadline?.cancel();
      reader.leave();
      this.#entries.delete(session);
      this.#count(key, -1);
      this.closed[reason] = (this.closed[reason] ?? 0) + 1;
    });
  }

  /** Ends the sessions that fit. Returns how many. */
  disconnect(filter: SessionFilter, reason: CloseReason): number {
    const fits = typeof filter === "function" ? filter : (info: SessionInfo) => fitsAll(info, filter);
    let ended = 0;
    for (const [session, { audience, key, openedAt }] of [...this.#entries]) {
      if (!fits({ topics: audience.topics, key, openedAt })) continue;
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
      await drainSessions(shuffled([...this.#entries.keys()]), within, (session) => this.#position(session));
    }
  }

  /** A reconnection time for a client that is refused while all others are sent away. */
  retryMs(): number {
    return Math.round(Math.random() * drainSpread(this.#entries.size));
  }

  /** The client keeps its position, and may come back to be looked at anew. */
  #expire(session: Session): void {
    session.write(this.#position(session));
    session.end("expired");
  }

  #count(key: string | undefined, change: 1 | -1): void {
    if (key === undefined) return;
    const count = (this.#perKey.get(key) ?? 0) + change;
    if (count > 0) this.#perKey.set(key, count);
    else this.#perKey.delete(key);
  }

  /** A session that is behind keeps the cursor of its last event. */
  #position(session: Session): string {
    const entry = this.#entries.get(session);
    if (entry === undefined) return "";
    const { reader, audience } = entry;
    return checkpointBlock(audience.format(reader.position));
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
