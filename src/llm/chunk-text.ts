import { EverstreamError } from "../errors.ts";

/**
 * What LangChain's `model.stream()` yields, by its shape: an `AIMessageChunk`, or anything like it. Content is a
 * string, or blocks of which those of type `text` hold text.
 */
export interface MessageChunk {
  readonly content: string | readonly (string | { readonly type: string })[];
}

/** What {@link textOf} reads: text itself, or a message chunk. */
export type TextChunk = string | MessageChunk;

// `text_delta` is what older versions of LangChain's Anthropic model call a piece of a text block.
const TEXT_TYPES: ReadonlySet<unknown> = new Set(["text", "text_delta"]);

/**
 * The text in one chunk of a provider's stream; empty where it holds none, as with reasoning or tool calls.
 *
 * Nothing is guessed: text that is overlooked would be an answer with holes that nobody notices.
 *
 * @throws EverstreamError `UNSUPPORTED_CHUNK` when its shape is not known.
 */
export function chunkText(chunk: unknown): string {
  if (typeof chunk === "string") return chunk;
  if (!isObject(chunk)) throw unsupported(`a chunk of type ${nameOf(chunk)}`);
  const { content } = chunk;
  if (typeof content === "string") return content;
  if (Array.isArray(content)) return content.map(blockText).join("");
  throw unsupported(`a chunk whose content is of type ${nameOf(content)}`);
}

function blockText(block: unknown): string {
  if (typeof block === "string") return block;
  if (!isObject(block) || typeof block.type !== "string") {
    throw unsupported(`a content block without a type (${nameOf(block)})`);
  }
  if (!TEXT_TYPES.has(block.type)) return "";
  const { text } = block;
  // A block may carry only what belongs to the text, such as citations.
  if (text === undefined) return "";
  if (typeof text !== "string") throw unsupported(`a text block whose text is of type ${nameOf(text)}`);
  return text;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** Names a value's type, never its content, which may be what a user wrote. */
function nameOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return typeof value;
}

function unsupported(what: string): EverstreamError {
  return new EverstreamError(
    "UNSUPPORTED_CHUNK",
    `The stream yielded ${what}. textOf reads strings and LangChain's message chunks; map other chunks to text first.`,
  );
}
