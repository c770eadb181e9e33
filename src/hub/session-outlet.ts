import { encodeEvent, type GapData } from "../protocol/index.ts";
import { END_EVENT, LIVE_EVENT } from "../protocol/wire.ts";
import type { Session } from "../session/session.ts";
import { type Frame, gapBlock } from "./frame.ts";
import type { Compaction } from "./options.ts";
import { type Outlet, skipped, type Taken, taken } from "./outlet.ts";
import type { SharedPage } from "./pages.ts";
import { type Floors, NO_FLOORS } from "./rights.ts";
import type { Ring } from "./ring.ts";

/**
 * Writes a reader's events to an open response, but for those that its client may not see. They all lie before some
 * position; up to there bytes are not shared with others.
 */
export class SessionOutlet implements Outlet {
  readonly wantsCheckpoints = true;
  readonly compaction: Compaction | undefined;
  readonly #session: Session;
  #floors: Floors;

  constructor(session: Session, compaction?: Compaction, floors: Floors = NO_FLOORS) {
    this.#session = session;
    this.compaction = compaction;
    this.#floors = floors;
  }

  get full(): boolean {
    return this.#session.full;
  }

  take(ring: Ring, from: number): Taken {
    const frame = ring.at(from) as Frame;
    if (frame.sequence <= this.#floors.highest) return this.#takeOne(frame, from);
    const block = ring.block(from);
    this.#session.deliver(block.bytes);
    return block;
  }

  takePage(page: SharedPage): number {
    const first = page.page.entries[0];
    const isOpen = first === undefined || first.sequence > this.#floors.highest;
    const visible = isOpen ? page : page.without((entry) => this.#floors.hides(entry));
    this.#session.deliver(visible.bytes);
    return visible.page.entries.length;
  }

  tellGap(gap: GapData): void {
    // Sequences begin anew.
    this.#floors = gap.reason === "epoch" ? NO_FLOORS : this.#floors.raisedBy(gap);
    this.#session.write(gapBlock(gap));
  }

  checkpoint(position: string): void {
    this.#session.write(checkpointBlock(position));
  }

  cut(): void {
    // What waits for the client would not leave any more.
    this.#session.end("slow", { destroy: true });
  }

  finish(position: string): void {
    this.#session.write(encodeEvent({ event: END_EVENT, data: "{}", id: position }));
    this.#session.end("finished");
  }

  #takeOne(frame: Frame, index: number): Taken {
    const isHidden = this.#floors.hides(frame.entry);
    if (!isHidden) this.#session.deliver(frame.alone);
    return isHidden ? skipped(frame, index) : taken(frame, index);
  }
}

/** The block that hands a client its position and that nobody listens for. */
export function checkpointBlock(position: string): string {
  return encodeEvent({ event: LIVE_EVENT, data: "", id: position });
}
