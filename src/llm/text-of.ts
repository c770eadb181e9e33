import { type ChunkSource, chunkSource } from "./chunk-source.ts";
import { chunkText, type TextChunk } from "./chunk-text.ts";

/** What {@link textOf} takes: what LangChain's `model.stream()` resolves to, or any async iterable of strings. */
export type TextStream = AsyncIterable<TextChunk> | ReadableStream<TextChunk>;

/**
 * The text in a provider's stream, piece by piece. Pieces are never empty. Reasoning, tool calls and whatever else a
 * model streams beside its text are left out.
 *
 * ```ts
 * const answer = await model.stream(message, { signal: stream.signal });
 * for await (const content of textOf(answer, stream.signal)) await stream.send("token", { content });
 * ```
 *
 * When `signal` aborts, the iteration rejects with the signal's reason and the source is told to stop (its `return()`,
 * or a web stream's `cancel()`), at once: also while it waits for a chunk that never comes. A source that started a
 * request should be given the same signal, since a generator that waits hears of `return()` only afterwards.
 *
 * @throws EverstreamError `UNSUPPORTED_CHUNK`, from the iteration, for a chunk of unknown shape.
 * @throws EverstreamError `INVALID_OPTION` when `stream` is not readable.
 */
export function textOf(stream: TextStream, signal?: AbortSignal): AsyncIterableIterator<string, undefined> {
  return new TextIterator(chunkSource(stream), signal);
}

interface Parked {
  resolve(result: IteratorResult<string, undefined>): void;
  reject(reason: unknown): void;
}

const END: IteratorResult<string, undefined> = { done: true, value: undefined };

/**
 * An async generator could not do this: while it is parked in an `await` it neither sees the abort nor takes a
 * `return()`. So this iterator settles the calls that wait itself, and lets a generator do the reading.
 */
class TextIterator implements AsyncIterableIterator<string, undefined> {
  readonly #source: ChunkSource;
  readonly #texts: AsyncGenerator<string, undefined>;
  readonly #signal: AbortSignal | undefined;
  /** The calls of `next` that wait. A set of our own: racing with one long-lived promise would keep every call alive. */
  readonly #parked = new Set<Parked>();
  #state: "new" | "reading" | "ended" | "aborted" = "new";

  constructor(source: ChunkSource, signal: AbortSignal | undefined) {
    this.#source = source;
    this.#texts = readTexts(source);
    this.#signal = signal;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<string, undefined>> {
    if (this.#state === "new") this.#start();
    if (this.#state === "ended") return Promise.resolve(END);
    // However late the consumer asks, an aborted answer must not look like a complete one.
    if (this.#state === "aborted") return Promise.reject(this.#signal?.reason);
    return new Promise((resolve, reject) => {
      const parked: Parked = { resolve, reject };
      this.#parked.add(parked);
      this.#texts.next().then(
        (result) => this.#settle(parked, result),
        (error: unknown) => this.#fail(parked, error),
      );
    });
  }

  async return(): Promise<IteratorResult<string, undefined>> {
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

  #settle(parked: Parked, result: IteratorResult<string, undefined>): void {
    if (!this.#parked.delete(parked)) return;
    parked.resolve(result);
    if (result.done === true) for (const { resolve } of this.#end("ended")) resolve(END);
  }

  #fail(parked: Parked, error: unknown): void {
    if (!this.#parked.delete(parked)) return;
    parked.reject(error);
    for (const { resolve } of this.#end("ended")) resolve(END);
    // It may have been our reading that failed, and not the source.
    ignore(this.#source.cancel(error));
  }

  /** Ends it and hands over the calls that wait, for the caller to answer. */
  #end(state: "ended" | "aborted"): Parked[] {
    const waiting = [...this.#parked];
    this.#parked.clear();
    this.#state = state;
    this.#signal?.removeEventListener("abort", this.#abort);
    return waiting;
  }
}

async function* readTexts(source: ChunkSource): AsyncGenerator<string, undefined> {
  for (;;) {
    const { done, value } = await source.next();
    if (done === true) return undefined;
    const text = chunkText(value);
    if (text !== "") yield text;
  }
}

/** The source's last words after an abort: how it ended interests nobody, but unhandled it would end the process. */
function ignore(promise: Promise<unknown>): void {
  promise.catch(() => undefined);
}
