import { EverstreamError } from "../errors.ts";
import { hasMethod } from "../input.ts";
import { isFields } from "./chunks.ts";

/** One way to read what providers hand out as async iterables or as web streams. */
export interface ChunkSource {
  next(): Promise<IteratorResult<unknown, unknown>>;
  /** Tells the source that nobody reads any more. Takes effect even while `next` waits, if the source can do that. */
  cancel(reason?: unknown): Promise<void>;
}

/** @throws EverstreamError `INVALID_OPTION` when `stream` can't be read. */
export function chunkSource(stream: unknown, caller: string): ChunkSource {
  // The result of the AI SDK's `streamText`.
  if (isFields(stream) && isFields(stream.fullStream)) return chunkSource(stream.fullStream, caller);
  // A web stream's own iterator holds `return()` back until the read that waits is answered; its reader's `cancel()`
  // does not. Besides, WebKit's streams have no iterator.
  if (hasMethod(stream, "getReader")) return new StreamSource(stream as unknown as ReadableStream<unknown>);
  if (hasMethod(stream, Symbol.asyncIterator))
    return new IteratorSource(stream as unknown as AsyncIterable<unknown>);
  const hint = hasMethod(stream, "then") ? " It is a promise: await it first." : "";
  throw new EverstreamError(
    "INVALID_OPTION",
    `${caller} needs an async iterable, such as what model.stream() resolves to.${hint}`,
  );
}

class IteratorSource implements ChunkSource {
  readonly #iterator: AsyncIterator<unknown>;
  readonly #controller: AbortController | undefined;

  constructor(iterable: AsyncIterable<unknown> & { readonly controller?: unknown }) {
    const { controller } = iterable;
    this.#controller = hasMethod(controller, "abort")
      ? (controller as unknown as AbortController)
      : undefined;
    this.#iterator = iterable[Symbol.asyncIterator]();
  }

  next(): Promise<IteratorResult<unknown>> {
    return this.#iterator.next();
  }

  async cancel(): Promise<void> {
    // A generator that waits for its request hears of `return` only afterwards; the SDKs of OpenAI and Anthropic have the
    // request's controller on the stream.
    this.#controller?.abort();
    await this.#iterator.return?.();
  }
}

class StreamSource implements ChunkSource {
  readonly #reader: ReadableStreamDefaultReader<unknown>;

  constructor(stream: ReadableStream<unknown>) {
    this.#reader = stream.getReader();
  }

  next(): Promise<IteratorResult<unknown, unknown>> {
    return this.#reader.read() as Promise<IteratorResult<unknown, unknown>>;
  }

  cancel(reason?: unknown): Promise<void> {
    return this.#reader.cancel(reason);
  }
}
