import { assertSignal } from "../input.ts";
import type { ChunkSource } from "./chunk-source.ts";

/**
 * Iterates over `items`, which are read from `source`, until the signal aborts: then it rejects with the signal's reason,
 * and the source is told to stop.
 *
 * @throws EverstreamError `INVALID_OPTION` for a signal that is none.
 */
export function iterate<Item>(
  source: ChunkSource,
  items: AsyncGenerator<Item, undefined>,
  signal: AbortSignal | undefined,
): AsyncIterableIterator<Item, undefined> {
  assertSignal(signal);
  return new SignalIterator(source, items, signal);
}

interface Parked<Item> {
  resolve(result: IteratorResult<Item, undefined>): void;
  reject(reason: unknown): void;
}

const END: IteratorResult<never, undefined> = { done: true, value: undefined };

/**
 * An async generator could not do this: while it is parked in an `await` it neither sees the abort nor takes a
 * `return()`. So this iterator settles the calls that wait itself, and lets a generator do the reading.
 */
class SignalIterator<Item> implements AsyncIterableIterator<Item, undefined> {
  readonly #source: ChunkSource;
  readonly #items: AsyncGenerator<Item, undefined>;
  readonly #signal: AbortSignal | undefined;
  /** The calls of `next` that wait. A set of our own: racing with one long-lived promise would keep every call alive. */
  readonly #parked = new Set<Parked<Item>>();
  #state: "new" | "reading" | "ended" | "aborted" = "new";

  constructor(source: ChunkSource, items: AsyncGenerator<Item, undefined>, signal: AbortSignal | undefined) {
    this.#source = source;
    this.#items = items;
    this.#signal = signal;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<Item, undefined>> {
    if (this.#state === "new") this.#start();
    if (this.#state === "ended") return Promise.resolve(END);
    // However late the consumer asks, an aborted answer must not look like a complete one.
    if (this.#state === "aborted") return Promise.reject(this.#signal?.reason);
    return new Promise((resolve, reject) => {
      const parked: Parked<Item> = { resolve, reject };
      this.#parked.add(parked);
      this.#items.next().then(
        (result) => this.#settle(parked, result),
        (error: unknown) => this.#fail(parked, error),
      );
    });
  }

  async return(): Promise<IteratorResult<Item, undefined>> {
    if (this.#state === "ended" || this.#state === "aborted") return END;
    const waiting = this.#end("ended");
    for (const { resolve } of waiting) resolve(END);
    const cancelled = this.#source.cancel();
    // Where a chunk is waited for, the source may hear of this much later, and there is nobody to tell how it went.
    if (waiting.length > 0) ignore(cancelled);
    else await cancelled;
    return END;
  }

  #start(): void {
    this.#state = "reading";
    if (this.#signal?.aborted === true) this.#abort();
    else this.#signal?.addEventListener("abort", this.#abort);
  }

  readonly #abort = (): void => {
    const reason: unknown = this.#signal?.reason;
    for (const { reject } of this.#end("aborted")) reject(reason);
    ignore(this.#source.cancel(reason));
  };

  #settle(parked: Parked<Item>, result: IteratorResult<Item, undefined>): void {
    if (!this.#parked.delete(parked)) return;
    parked.resolve(result);
    if (result.done === true) for (const { resolve } of this.#end("ended")) resolve(END);
  }

  #fail(parked: Parked<Item>, error: unknown): void {
    if (!this.#parked.delete(parked)) return;
    parked.reject(error);
    for (const { resolve } of this.#end("ended")) resolve(END);
    // It may have been our reading that failed, and not the source.
    ignore(this.#source.cancel(error));
  }

  /** Ends it and hands over the calls that wait, for the caller to answer. */
  #end(state: "ended" | "aborted"): Parked<Item>[] {
    const waiting = [...this.#parked];
    this.#parked.clear();
    this.#state = state;
    this.#signal?.removeEventListener("abort", this.#abort);
    return waiting;
  }
}

/** The source's last words after an abort: how it ended interests nobody, but unhandled it would end the process. */
function ignore(promise: Promise<unknown>): void {
  promise.catch(() => undefined);
}
