import {
  type AnswerChunk,
  addUsage,
  type ChunkReader,
  type Fields,
  type FinishReason,
  fieldsOf,
  isFields,
  textChunk,
  type Usage,
  usageOf,
} from "./chunks.ts";
import { nameOf, unsupported } from "./failure.ts";
import { anthropicFinish } from "./read-anthropic.ts";
import { incompleteFinish, openAIFinish } from "./read-openai.ts";
import { ToolCalls } from "./tool-calls.ts";

// `text_delta` is what older versions of LangChain's Anthropic model call a piece of a text block.
const TEXT_TYPES: ReadonlySet<unknown> = new Set(["text", "text_delta"]);

/**
 * Reads what LangChain's `model.stream()` yields. Nothing is guessed where text may be: text that is overlooked would be
 * an answer with holes that nobody notices. Not all of its models say why they finished, so that an end is an end.
 */
export class MessageChunkReader implements ChunkReader {
  readonly #tools = new ToolCalls();
  #usage: Usage = {};
  #reason: FinishReason | undefined;
  #refused = false;

  read(message: Fields): AnswerChunk[] {
    const { content } = message;
    if (typeof message.tool_call_id === "string") return [resultOf(message.tool_call_id, message)];
    this.#noteReason(fieldsOf(message.response_metadata), fieldsOf(message.additional_kwargs));
    return [
      ...textChunk("reasoning", fieldsOf(message.additional_kwargs).reasoning_content),
      ...this.#readContent(content),
      ...this.#readRefusal(fieldsOf(message.additional_kwargs).refusal),
      ...this.#readTools(message),
      ...this.#readUsage(message.usage_metadata),
    ];
  }

  end(): AnswerChunk[] {
    const calls = this.#tools.finishAll();
    const reason = this.#refused ? "refusal" : this.#reason;
    const finish = reason ?? (this.#tools.ownCount > 0 ? "tool-calls" : "stop");
    return [...calls, { type: "finish", reason: finish }];
  }

  #readContent(content: unknown): AnswerChunk[] {
    if (typeof content === "string") return textChunk("text", content);
    if (Array.isArray(content)) return content.flatMap((block) => this.#readBlock(block));
    throw unsupported(`a chunk whose content is of type ${nameOf(content)}`);
  }

  #readBlock(block: unknown): AnswerChunk[] {
    if (typeof block === "string") return textChunk("text", block);
    if (!isFields(block) || typeof block.type !== "string") {
      throw unsupported(`a content block without a type (${nameOf(block)})`);
    }
    if (block.type === "refusal") return this.#readRefusal(block.refusal);
    if (!TEXT_TYPES.has(block.type)) return textChunk("reasoning", block.reasoning ?? block.thinking);
    const { text } = block;
    // A block may carry only what belongs to the text, such as citations.
    if (text === undefined) return [];
    if (typeof text !== "string") throw unsupported(`a text block whose text is of type ${nameOf(text)}`);
    return textChunk("text", text);
  }

  #readRefusal(refusal: unknown): AnswerChunk[] {
    const chunks = textChunk("text", refusal);
    if (chunks.length > 0) this.#refused = true;
    return chunks;
  }

  /** In pieces, or, of models that do not stream them, whole. */
  #readTools({ tool_call_chunks: pieces, tool_calls: calls }: Fields): AnswerChunk[] {
    // A message that was made with whole calls has an empty list of pieces beside them.
    if (Array.isArray(pieces) && pieces.length > 0)
      return pieces.flatMap((piece) => this.#readPiece(fieldsOf(piece)));
    if (!Array.isArray(calls)) return [];
    return calls.map(fieldsOf).flatMap(({ id, name, args }) => {
      if (typeof name !== "string") return [];
      const key = typeof id === "string" ? id : `call-${this.#tools.ownCount}`;
      return [...this.#tools.start(key, key, name), ...this.#tools.finish(key, JSON.stringify(args ?? {}))];
    });
  }

  #readPiece({ index, id, name, args }: Fields): AnswerChunk[] {
    const key = index ?? id;
    const begins = this.#tools.begins(key, id) && typeof name === "string" && name !== "";
    const ownId = typeof id === "string" && id !== "" ? id : `call-${this.#tools.ownCount}`;
    const begun = begins ? [...this.#tools.finish(key), ...this.#tools.start(key, ownId, name)] : [];
    return [...begun, ...this.#tools.add(key, args)];
  }

  /** LangChain adds up what its chunks say. */
  #readUsage(usage: unknown): AnswerChunk[] {
    if (!isFields(usage)) return [];
    const now = usageOf({
      inputTokens: usage.input_tokens,
      outputTokens: usage.output_tokens,
      totalTokens: usage.total_tokens,
      reasoningTokens: fieldsOf(usage.output_token_details).reasoning,
      cachedInputTokens: fieldsOf(usage.input_token_details).cache_read,
    });
    this.#usage = addUsage(this.#usage, now);
    return [{ type: "usage", usage: this.#usage }];
  }

  #noteReason(metadata: Fields, more: Fields): void {
    const stop = metadata.stop_reason ?? more.stop_reason;
    const { reason: incomplete } = fieldsOf(metadata.incomplete_details);
    if (typeof incomplete === "string") this.#reason = incompleteFinish(incomplete);
    else if (typeof metadata.finish_reason === "string") this.#reason = openAIFinish(metadata.finish_reason);
    else if (typeof stop === "string") this.#reason = anthropicFinish(stop);
  }
}

function resultOf(id: string, { content, status }: Fields): AnswerChunk {
  const failed = status === "error";
  return { type: "tool-result", id, output: content ?? null, ...(failed && { isError: true }) };
}
