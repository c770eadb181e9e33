import { encodeEvent } from "../protocol/index.ts";
import type { Session } from "./session.ts";

/** Reconnection times that a drain hands out spread over this many milliseconds for each session that it closes. */
const SPREAD_PER_SESSION_MS = 1;
const MIN_SPREAD_MS = 1000;
const MAX_SPREAD_MS = 60_000;

/** All open sessions of one owner, for closing them together. */
export class SessionGroup {
  readonly #sessions = new Set<Session>();

  get size(): number {
    return this.#sessions.size;
  }

  add(session: Session): void {
    if (session.closed) return;
    this.#sessions.add(session);
    session.onClose(() => this.#sessions.delete(session));
  }

  [Symbol.iterator](): IterableIterator<Session> {
    return this.#sessions.values();
  }

  /**
   * Ends every session in good order, each with a reconnection time of its own, so that the clients do not all come
   * back in the same moment.
   *
   * @param within Over how many milliseconds the ends are spread evenly; 0 for now.
   */
  async drain(within = 0): Promise<void> {
    const sessions = [...this.#sessions];
    const spread = Math.min(Math.max(sessions.length * SPREAD_PER_SESSION_MS, MIN_SPREAD_MS), MAX_SPREAD_MS);
    const started = performance.now();
    for (const [index, session] of sessions.entries()) {
      const due = (within * index) / sessions.length;
      const wait = due - (performance.now() - started);
      if (wait >= 1) await new Promise((resolve) => setTimeout(resolve, wait));
      session.write(encodeEvent({ retry: Math.round(Math.random() * spread) }));
      session.end("drained");
    }
  }
}

/** The sessions of all handlers (`streamSSE`, `streamEvents`) of this process. */
export const handlerSessions = /* @__PURE__ */ new SessionGroup();

/**
 * Ends all streams of this process' handlers in good order: the last step before a server closes. Each client is told
 * a random time after which to come back. Streams of a hub are the hub's to close.
 *
 * @param options.within Over how many milliseconds the ends are spread. Default: 0.
 */
export function closeStreams(options?: { within?: number }): Promise<void> {
  return handlerSessions.drain(options?.within);
}
