import { encodeEvent, type GapData } from "../protocol/index.ts";
import { END_EVENT, LIVE_EVENT } from "../protocol/wire.ts";
import type { Session } from "../session/session.ts";
import { gapBlock } from "./frame.ts";
import type { Compaction } from "./options.ts";
import type { Outlet, Taken } from "./outlet.ts";
import type { SharedPage } from "./pages.ts";
import type { Ring } from "./ring.ts";

/** Writes a reader's events to an open response. */
export class SessionOutlet implements Outlet {
  readonly wantsCheckpoints = true;
  readonly compaction: Compaction | undefined;
  readonly #session: Session;

  constructor(session: Session, compaction?: Compaction) {
    this.#session = session;
    this.compaction = compaction;
  }

  get full(): boolean {
    return this.#session.full;
  }

  take(ring: Ring, from: number): Taken {
    const block = ring.block(from);
    this.#session.deliver(block.bytes);
    return block;
  }

  takePage(page: SharedPage): void {
    this.#session.deliver(page.bytes);
  }

  tellGap(gap: GapData): void {
    this.#session.write(gapBlock(gap));
  }

  checkpoint(position: string): void {
    this.#session.write(checkpointBlock(position));
  }

  finish(position: string): void {
    this.#session.write(encodeEvent({ event: END_EVENT, data: "{}", id: position }));
    this.#session.end("finished");
  }
}

/** The block that hands a client its position and that nobody listens for. */
export function checkpointBlock(position: string): string {
  return encodeEvent({ event: LIVE_EVENT, data: "", id: position });
}
