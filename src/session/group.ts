import { encodeEvent } from "../protocol/index.ts";
import { drainSpread } from "./drain-spread.ts";
import { withinOf } from "./options.ts";
import type { Session } from "./session.ts";

/** So many ends, and the event loop goes round: ending ten thousand at once would hold everything else up. */
const ENDS_PER_TURN = 100;

/** All open sessions of one owner, for closing them together. */
class SessionGroup {
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
   * Ends every session in good order, as {@link drainSessions} does.
   *
   * @param within Over how many milliseconds the ends are spread evenly; 0 for now.
   */
  drain(within: number): Promise<void> {
    return drainSessions([...this.#sessions], within);
  }
}

/**
 * Ends sessions in good order, each with a reconnection time of its own, so that the clients do not all come back in the
 * same moment.
 *
 * @param within Over how many milliseconds the ends are spread evenly; 0 for now. Those that are gone are not waited for.
 * @param lastWords What the session at an index is sent before its end.
 */
export async function drainSessions(
  sessions: readonly Session[],
  within: number,
  lastWords?: (index: number) => string,
): Promise<void> {
  const spread = drainSpread(sessions.length);
  const started = performance.now();
  for (const [index, session] of sessions.entries()) {
    const due = (within * index) / sessions.length;
    const wait = due - (performance.now() - started);
    if (wait >= 1) await untilDue(session, wait);
    else if (index % ENDS_PER_TURN === ENDS_PER_TURN - 1) await new Promise((resolve) => setTimeout(resolve));
    if (lastWords !== undefined && !session.closed) session.write(lastWords(index));
    session.write(encodeEvent({ retry: Math.round(Math.random() * spread) }));
    session.end("drained");
  }
}

/** Resolves when a session's time has come; at once where it leaves by itself, for nobody is to be waited for then. */
function untilDue(session: Session, waitMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, waitMs);
    session.onClose(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}

/** The sessions of all handlers (`streamSSE`, `streamEvents`) of this process. */
export const handlerSessions = /* @__PURE__ */ new SessionGroup();

/**
 * Ends all streams of this process' handlers in good order: the last step before a server closes. Each client is told
 * a random time after which to come back. Streams of a hub are the hub's to close.
 *
 * @param options.within Over how many milliseconds the ends are spread. Default: 0.
 * @throws EverstreamError (as a rejection) `INVALID_OPTION` for `within`.
 */
export async function closeStreams(options?: { within?: number }): Promise<void> {
  await handlerSessions.drain(withinOf(options));
}
