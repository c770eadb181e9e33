import { encodeEvent, type GapData } from "../protocol/index.ts";
import { END_EVENT, LIVE_EVENT } from "../protocol/wire.ts";
import type { CloseReason } from "../session/close-reason.ts";
import type { Session, SessionOwner } from "../session/session.ts";
import { Deadline } from "./deadline.ts";
import { type Frame, gapBlock } from "./frame.ts";
import type { Compaction } from "./options.ts";
import type { Outlet, Taken } from "./outlet.ts";
import type { SharedPage } from "./pages.ts";
import type { Reader } from "./reader.ts";
import type { Ring } from "./ring.ts";

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

/** What few sessions have. */
interface Extras {
  readonly compaction: Compaction | undefined;
  readonly deadline: Deadline | undefined;
}

/** Who is told of a session's end. */
export interface SessionHolder {
  remove(outlet: SessionOutlet, reason: CloseReason): void;
}

/** What a session was opened with. */
export interface SessionStart {
  readonly key: string | undefined;
  readonly compaction: Compaction | undefined;
  /** When it has to end, in milliseconds as `Date.now()` gives them; infinite for never. */
  readonly endsAt: number;
}

/**
 * Writes a reader's events to an open response.
 *
 * One object is all that a hub has of a session beside its reader: the end of the one is the end of the other.
 */
export class SessionOutlet implements Outlet, SessionOwner {
  readonly session: Session;
  readonly key: string | undefined;
  /** Its place among the hub's sessions, theirs to set. */
  slot = -1;
  readonly #reader: Reader;
  readonly #holder: SessionHolder;
  // What a subtraction gives is kept beside the object, however small and whole; what `floor` gives is not.
  readonly #openedAt = Math.floor(Date.now() - CLOCK_ZERO);
  #extras: Extras | undefined;

  /** @param read Makes the session's reader. */
  constructor(
    holder: SessionHolder,
    session: Session,
    { key, compaction, endsAt }: SessionStart,
    read: (outlet: Outlet) => Reader,
  ) {
    this.#holder = holder;
    this.session = session;
    this.key = key;
    this.#reader = read(this);
    session.owner = this;
    if (compaction === undefined && endsAt === Number.POSITIVE_INFINITY) return;
    const end = Number.isFinite(endsAt) ? new Deadline(endsAt, () => this.#expire()) : undefined;
    this.#extras = { compaction, deadline: end };
  }

  get compaction(): Compaction | undefined {
    return this.#extras?.compaction;
  }

  get info(): SessionInfo {
    const { topics } = this.#reader.audience;
    return { topics, key: this.key, openedAt: this.#openedAt + CLOCK_ZERO };
  }

  /** Where the client is, as a block. A session that is behind keeps the cursor of its last event. */
  get place(): string {
    const { audience, position } = this.#reader;
    return checkpointBlock(audience.format(position));
  }

  onSessionDrain(): void {
    this.#reader.wake();
  }

  onSessionIdle(): void {
    this.#reader.checkpoint();
  }

  onSessionClose(reason: CloseReason): void {
    this.#extras?.deadline?.cancel();
    this.#reader.leave();
    this.#holder.remove(this, reason);
  }

  get full(): boolean {
    return this.session.full;
  }

  take(ring: Ring, from: number): Taken {
    const block = ring.block(from);
    this.session.deliver(block.bytes);
    return block;
  }

  takeOne(frame: Frame): void {
    this.session.deliver(frame.alone);
  }

  takePage(page: SharedPage): number {
    this.session.deliver(page.bytes);
    return page.page.entries.length;
  }

  tellGap(gap: GapData): void {
    this.session.write(gapBlock(gap));
  }

  checkpoint(position: string): void {
    this.session.write(checkpointBlock(position));
  }

  cut(): void {
    // What waits for the client would not leave any more.
    this.session.end("slow", { destroy: true });
  }

  fail(): void {
    this.session.end("write-failed", { destroy: true });
  }

  finish(position: string): void {
    this.session.write(encodeEvent({ event: END_EVENT, data: "{}", id: position }));
    this.session.end("finished");
  }

  /** The client keeps its position, and may come back to be looked at anew. */
  #expire(): void {
    this.session.write(this.place);
    this.session.end("expired");
  }
}

let last = { position: "", block: "" };

/**
 * The block that hands a client its position and that nobody listens for. Where many come at once, or are idle together,
 * it is the same one for all of them.
 */
export function checkpointBlock(position: string): string {
  if (position !== last.position) {
    last = { position, block: encodeEvent({ event: LIVE_EVENT, data: "", id: position }) };
  }
  return last.block;
}
