import { EverstreamError } from "../errors.ts";
import type { GapData } from "../protocol/index.ts";
import { Deque } from "./deque.ts";
import { gapEvent, type HubEvent, hubEvent } from "./event.ts";
import type { Frame } from "./frame.ts";
import { type Outlet, type Taken, taken } from "./outlet.ts";
import type { SharedPage } from "./pages.ts";
import type { Ring } from "./ring.ts";

/** How many events wait for the loop before its reader pauses. */
const MAX_WAITING = 64;

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

interface Waiting {
  readonly resolve: (result: IteratorResult<HubEvent, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * A reader's events as an async iterable, for a `for await` loop. A slow loop costs nobody anything: its reader pauses
 * and later reads from the log. Leaving the loop ends the reader, also while it waits.
 */
export class EventLoop implements Outlet, AsyncIterableIterator<HubEvent, undefined, undefined> {
  /** Called when there is room again. */
  onRoom: () => void = () => undefined;
  /** Called when nothing more is wanted, or nothing more will come. */
  onLeave: () => void = () => undefined;

  readonly #events = new Deque<HubEvent>();
  readonly #waiting = new Deque<Waiting>();
  #ended = false;
  #error: { readonly error: unknown } | undefined;

  get full(): boolean {
    return this.#events.length >= MAX_WAITING;
  }

  take(ring: Ring, from: number): Taken {
    const frame = ring.at(from) as Frame;
    this.takeOne(frame);
    return taken(frame, from);
  }

  takeOne({ entry, id, gap }: Frame): void {
    this.#add(gap === undefined ? hubEvent(entry, id) : gapEvent(gap));
  }

  takePage(shared: SharedPage): number {
    const { entries } = shared.page;
    for (const entry of entries) this.#add(hubEvent(entry, shared.idOf(entry)));
    return entries.length;
  }

  tellGap(gap: GapData): void {
    this.#add(gapEvent(gap));
  }

  checkpoint(): void {
    // An event's id is all that a loop can go on after; between two of them nothing was missed.
  }

  cut(): void {
    const message =
      "The loop took events more slowly than its topics' policy allows; go on after the last event's id.";
    this.fail(new EverstreamError("OVERFLOW", message));
  }

  /** Nothing more will come; what waits is still handed out. */
  finish(): void {
    if (this.#ended) return;
    this.#ended = true;
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      this.#settle(next);
    }
    this.onLeave();
  }

  /** The loop fails with `error`, after what waits. */
  fail(error: unknown): void {
    this.#error ??= { error };
    this.finish();
  }

  /** Ends the loop now, without what waits. */
  stop(): void {
    this.#events.clear();
    this.finish();
  }

  next(): Promise<IteratorResult<HubEvent, undefined>> {
    return new Promise((resolve, reject) => {
      const waiting = { resolve, reject };
      const event = this.#events.shift();
      if (event !== undefined) resolve({ done: false, value: event });
      else if (this.#ended) this.#settle(waiting);
      else this.#waiting.push(waiting);
      if (this.#events.length === 0) this.onRoom();
    });
  }

  async return(): Promise<IteratorResult<HubEvent, undefined>> {
    this.stop();
    return DONE;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #add(event: HubEvent): void {
    if (this.#ended) return;
    const waiting = this.#waiting.shift();
    if (waiting === undefined) this.#events.push(event);
    else waiting.resolve({ done: false, value: event });
  }

  #settle({ resolve, reject }: Waiting): void {
    const failure = this.#error;
    this.#error = undefined;
    if (failure === undefined) resolve(DONE);
    else reject(failure.error);
  }
}
