import type { GapData } from "../protocol/index.ts";
import type { Frame } from "./frame.ts";
import type { Compaction } from "./options.ts";
import type { SharedPage } from "./pages.ts";
import type { Ring } from "./ring.ts";

/** How far an outlet has got. */
export interface Taken {
  /** The index after the last frame taken. */
  readonly to: number;
  /** That frame's sequence. */
  readonly last: number;
  /** How many events were handed over: marks are none. */
  readonly events: number;
  /** The gaps that were told with them, if any. */
  readonly gaps: readonly GapData[] | undefined;
}

/** Where a reader's events go: a session, a listener, a loop. It takes what it is given and says when it is full. */
export interface Outlet {
  /** It wants no more for now; {@link Reader.wake} follows when it does. */
  readonly full: boolean;
  /** How it wants what is read from the log. */
  readonly compaction?: Compaction | undefined;
  /** Takes frames from the ring, from index `from` on, at least one. */
  take(ring: Ring, from: number): Taken;
  /** Takes one frame. */
  takeOne(frame: Frame): void;
  /** Takes all of a page. Returns how many of its events were handed over. */
  takePage(page: SharedPage): number;
  /** Events are missing here. */
  tellGap(gap: GapData): void;
  /** Everything up to this position has been handed over, though its last event stands before it. */
  checkpoint(position: string): void;
  /** It is too slow for its topics: it gets no more. */
  cut(): void;
  /** It could not take what it was given: it gets no more. The reader has left already. */
  fail(error: unknown): void;
  /** All topics are finished and everything was handed over. The reader has left already. */
  finish(position: string): void;
}

/** What taking one frame comes to. */
export function taken({ sequence, gap }: Frame, index: number): Taken {
  return { to: index + 1, last: sequence, events: gap === undefined ? 1 : 0, gaps: gap && [gap] };
}
