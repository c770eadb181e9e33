import { EverstreamError } from "../errors.ts";

/** One way to read what providers hand out as async iterables or as web streams. */
export interface ChunkSource {
  next(): Promise<IteratorResult<unknown, unknown>>;
  /** Tells the source that nobody reads any more. Takes effect even while `next` waits, if the source can do that. */
  cancel(reason?: unknown): Promise<void>;
}

/** @throws EverstreamError `INVALID_OPTION` when `stream` can't be read. */
export function chunkSource(stream: unknown): ChunkSource {
  // A web stream's own iterator holds `return()` back until the read that waits is answered; its reader's `cancel()`
  // does not. Besides, WebKit's streams have no iterator.
  if (has(stream, "getReader")) return new StreamSource(stream as unknown as ReadableStream<unknown>);
  if (has(stream, Symbol.asyncIterator))
    return new IteratorSource(stream as unknown as AsyncIterable<unknown>);
  const hint = has(stream, "then") ? " It is a promise: await it first." : "";
  throw new EverstreamError(
    "INVALID_OPTION",
    `textOf needs an async iterable, such as what model.stream() resolves to.${hint}`,
  );
}

class IteratorSource implements ChunkSource {
  readonly #iterator: AsyncIterator<unknown>;

  constructor(iterable: AsyncIterable<unknown>) {
    this.#iterator = iterable[Symbol.asyncIterator]();
  }

  next(): Promise<IteratorResult<unknown>> {
    return this.#iterator.next();
  }

  async cancel(): Promise<void> {
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

function has<K extends PropertyKey>(value: unknown, key: K): value is Record<K, () => unknown> {
  return (
    typeof value === "object" && value !== null && typeof (value as Record<K, unknown>)[key] === "function"
  );
}
