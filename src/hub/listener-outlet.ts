import type { GapData } from "../protocol/index.ts";
import { report } from "../session/report.ts";
import { gapEvent, type HubEvent, hubEvent } from "./event.ts";
import type { Frame } from "./frame.ts";
import type { LogEntry } from "./log.ts";
import { type Outlet, type Taken, taken } from "./outlet.ts";
import type { SharedPage } from "./pages.ts";
import type { Ring } from "./ring.ts";

/** A listener in this process. What it returns is not waited for. */
export type Listener<Event = HubEvent> = (event: Event) => unknown;

/** Calls a listener for each of a reader's events. It never throws into the hub, and never holds others up. */
export class ListenerOutlet implements Outlet {
  readonly full = false;
  readonly #listener: Listener;
  readonly #onFinish: () => void;
  #ended = false;

  constructor(listener: Listener, onFinish: () => void) {
    this.#listener = listener;
    this.#onFinish = onFinish;
  }

  /** Calls the listener no more, also not for the rest of what it is being called for. */
  end(): void {
    this.#ended = true;
  }

  take(ring: Ring, from: number): Taken {
    const frame = ring.at(from) as Frame;
    this.takeOne(frame);
    return taken(frame, from);
  }

  takeOne({ entry, id, gap }: Frame): void {
    if (gap === undefined) this.#call(() => hubEvent(entry, id));
    else this.tellGap(gap);
  }

  takePage(shared: SharedPage): number {
    let called = 0;
    for (const entry of shared.page.entries) {
      if (this.#ended) break;
      this.#callFor(entry, shared);
      called++;
    }
    return called;
  }

  tellGap(gap: GapData): void {
    this.#call(() => gapEvent(gap));
  }

  checkpoint(): void {
    // An event's id is all that a listener can go on after; between two of them nothing was missed.
  }

  cut(): void {
    // A listener takes everything at once: it is never slow.
  }

  fail(): void {
    this.#onFinish();
  }

  finish(): void {
    this.#onFinish();
  }

  #callFor(entry: LogEntry, shared: SharedPage): void {
    this.#call(() => hubEvent(entry, shared.idOf(entry)));
  }

  #call(event: () => HubEvent): void {
    if (this.#ended) return;
    try {
      const result = this.#listener(event());
      if (result instanceof Promise) result.catch(reportFailure);
    } catch (error) {
      reportFailure(error);
    }
  }
}

function reportFailure(error: unknown): void {
  report("A subscription's listener failed", error);
}
