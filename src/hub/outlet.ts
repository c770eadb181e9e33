import type { GapData } from "../protocol/index.ts";
import type { Compaction } from "./options.ts";
import type { SharedPage } from "./pages.ts";
import type { Ring } from "./ring.ts";

/** How far an outlet has got. */
export interface Taken {
  /** The index after the last frame taken. */
  readonly to: number;
  /** That frame's sequence. */
  readonly last: number;
}

/** Where a reader's events go: a session, a listener, a loop. It takes what it is given and says when it is full. */
export interface Outlet {
  /** It wants no more for now; {@link Reader.wake} follows when it does. */
  readonly full: boolean;
  /** Whether it has to be told of positions without events. */
  readonly wantsCheckpoints: boolean;
  /** How it wants what is read from the log. */
  readonly compaction?: Compaction | undefined;
  /** Takes frames from the ring, from index `from` on, at least one. */
  take(ring: Ring, from: number): Taken;
  /** Takes all of a page. */
  takePage(page: SharedPage): void;
  /** Events are missing here. */
  tellGap(gap: GapData): void;
  /** Everything up to this position has been handed over, though its last event stands before it. */
  checkpoint(position: string): void;
  /** All topics are finished and everything was handed over. The reader has left already. */
  finish(position: string): void;
}
