import { type ChunkSource, chunkSource } from "./chunk-source.ts";
import { type AnswerChunk, type ChunkReader, type Fields, isFields } from "./chunks.ts";
import { nameOf, unsupported } from "./failure.ts";
import { iterate } from "./iterate.ts";
import { isStreamPart, StreamPartReader } from "./read-ai-sdk.ts";
import { isMessageEvent, MessageReader } from "./read-anthropic.ts";
import { MessageChunkReader } from "./read-langchain.ts";
import { CompletionReader, ResponseReader } from "./read-openai.ts";

/**
 * What LangChain's `model.stream()` yields, by its shape: an `AIMessageChunk`, or anything like it. Content is a
 * string, or blocks of which those of type `text` hold text.
 */
export interface MessageChunk {
  readonly content: string | readonly (string | { readonly type: string })[];
}

/** What the stream of a provider yields, by its shape. */
export type ProviderChunk =
  | string
  | MessageChunk
  /** OpenAI's chat completions. */
  | { readonly object: "chat.completion.chunk" }
  /** OpenAI's responses, Anthropic's messages, the parts of the AI SDK's `fullStream`. */
  | { readonly type: string };

/**
 * A provider's stream of an answer:
 *
 * - LangChain: what `model.stream()` resolves to
 * - OpenAI: `chat.completions.create` and `responses.create`, with `stream: true`
 * - Anthropic: `messages.create` with `stream: true`, and `messages.stream`
 * - AI SDK: what `streamText` returns, its `fullStream` or `textStream`
 * - any async iterable or web stream of strings
 */
export type AnswerStream =
  | AsyncIterable<ProviderChunk>
  | ReadableStream<ProviderChunk>
  | { readonly fullStream: AsyncIterable<ProviderChunk> };

/**
 * A provider's stream as chunks that are the same for all of them. Which provider it is shows in the chunks themselves.
 *
 * ```ts
 * const answer = await client.messages.create({ ...question, stream: true }, { signal });
 * for await (const chunk of chunksOf(answer, signal)) {
 *   if (chunk.type === "reasoning") console.log(chunk.text);
 * }
 * ```
 *
 * When `signal` aborts, the iteration rejects with the signal's reason and the source is told to stop at once: by its
 * `return()`, a web stream's `cancel()`, and the `controller` that the SDKs of OpenAI and Anthropic have on their streams.
 * LangChain and the AI SDK have to be given the same signal.
 *
 * What the provider's SDK throws comes through as it is; `providerFailure` says what it means. An answer that breaks off
 * is never taken for a complete one.
 *
 * @throws EverstreamError from the iteration: `UNSUPPORTED_CHUNK` for a chunk of unknown shape; `NETWORK` where the stream
 *   ended before the answer did; `PROVIDER_FAILED` where the provider has said within its stream that it failed.
 * @throws EverstreamError `INVALID_OPTION` when `stream` is not readable.
 */
export function chunksOf(
  stream: AnswerStream,
  signal?: AbortSignal,
): AsyncIterableIterator<AnswerChunk, undefined> {
  const source = chunkSource(stream, "chunksOf");
  return iterate(source, readChunks(source), signal);
}

/** The source's chunks, in our form. */
export async function* readChunks(source: ChunkSource): AsyncGenerator<AnswerChunk, undefined> {
  const readers = new Readers();
  for (;;) {
    const { done, value } = await source.next();
    if (done === true) break;
    if (typeof value === "string") {
      if (value !== "") yield { type: "text", text: value };
    } else yield* joined(readers.readerOf(value).read(value as Fields));
  }
  yield* readers.end();
  return undefined;
}

/** A provider's one chunk may have several blocks of text. */
function joined(chunks: readonly AnswerChunk[]): AnswerChunk[] {
  const result: AnswerChunk[] = [];
  for (const chunk of chunks) {
    const last = result.at(-1);
    if (chunk.type === "text" && last?.type === "text") {
      result[result.length - 1] = { type: "text", text: last.text + chunk.text };
    } else result.push(chunk);
  }
  return result;
}

/** Each provider's reader, made when the first of its chunks comes; a stream has but one, as a rule. */
class Readers {
  readonly #made = new Map<new () => ChunkReader, ChunkReader>();

  readerOf(chunk: unknown): ChunkReader {
    const kind = kindOf(chunk);
    const reader = this.#made.get(kind) ?? new kind();
    this.#made.set(kind, reader);
    return reader;
  }

  *end(): Generator<AnswerChunk> {
    for (const reader of this.#made.values()) yield* reader.end();
  }
}

function kindOf(chunk: unknown): new () => ChunkReader {
  if (!isFields(chunk)) throw unsupported(`a chunk of type ${nameOf(chunk)}`);
  const { type } = chunk;
  if (chunk.object === "chat.completion.chunk" || Array.isArray(chunk.choices)) return CompletionReader;
  if (typeof type === "string") {
    if (type.startsWith("response.") || (type === "error" && "sequence_number" in chunk))
      return ResponseReader;
    if (isMessageEvent(type)) return MessageReader;
    if (isStreamPart(type)) return StreamPartReader;
  }
  if ("content" in chunk) return MessageChunkReader;
  throw unsupported("an object that no known provider streams");
}
