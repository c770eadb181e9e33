import { type ChunkSource, chunkSource } from "./chunk-source.ts";
import { type AnswerStream, type ProviderChunk, readChunks } from "./chunks-of.ts";
import { iterate } from "./iterate.ts";

/** What {@link textOf} takes: any provider's stream of an answer, or any async iterable of strings. */
export type TextStream = AnswerStream;

/** What the stream that {@link textOf} takes yields. */
export type TextChunk = ProviderChunk;

/**
 * The text in a provider's stream, piece by piece. Pieces are never empty. Reasoning, tool calls and whatever else a
 * model streams beside its text are left out; `chunksOf` has them.
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
 * @throws EverstreamError as {@link chunksOf}.
 */
export function textOf(stream: TextStream, signal?: AbortSignal): AsyncIterableIterator<string, undefined> {
  const source = chunkSource(stream, "textOf");
  return iterate(source, readTexts(source), signal);
}

async function* readTexts(source: ChunkSource): AsyncGenerator<string, undefined> {
  for await (const chunk of readChunks(source)) if (chunk.type === "text") yield chunk.text;
  return undefined;
}
