import {
  type AnswerChunk,
  type ChunkReader,
  type Fields,
  type FinishReason,
  fieldsOf,
  textChunk,
  type Usage,
  usageOf,
} from "./chunks.ts";
import { incompleteError } from "./failure.ts";
import { ToolCalls } from "./tool-calls.ts";

const FINISH: Readonly<Record<string, FinishReason>> = {
  end_turn: "stop",
  stop_sequence: "stop",
  max_tokens: "length",
  model_context_window_exceeded: "length",
  tool_use: "tool-calls",
  refusal: "refusal",
};

/** What Anthropic calls the reason, in our words. */
export function anthropicFinish(reason: string): FinishReason {
  return FINISH[reason] ?? "other";
}

const TYPES: ReadonlySet<unknown> = new Set([
  "message_start",
  "message_delta",
  "message_stop",
  "content_block_start",
  "content_block_delta",
  "content_block_stop",
  "ping",
]);

export function isMessageEvent(type: unknown): boolean {
  return TYPES.has(type);
}

/** Reads `messages.create({ stream: true })` and `messages.stream()`. */
export class MessageReader implements ChunkReader {
  readonly #tools = new ToolCalls();
  #usage: Usage = {};
  #finished = false;

  read(event: Fields): AnswerChunk[] {
    switch (event.type) {
      case "message_start":
        return this.#readUsage(fieldsOf(event.message).usage);
      case "content_block_start":
        return this.#begin(fieldsOf(event.content_block), event.index);
      case "content_block_delta":
        return this.#continue(fieldsOf(event.delta), event.index);
      case "content_block_stop":
        return this.#tools.finish(event.index);
      case "message_delta":
        return [...this.#readUsage(event.usage), ...readFinish(fieldsOf(event.delta).stop_reason)];
      case "message_stop":
        this.#finished = true;
        return [];
      default:
        return [];
    }
  }

  end(): AnswerChunk[] {
    if (!this.#finished) throw incompleteError();
    return [];
  }

  #begin(block: Fields, key: unknown): AnswerChunk[] {
    const { type, id, name, tool_use_id: of } = block;
    if (type === "text") return textChunk("text", block.text);
    if (type === "thinking") return textChunk("reasoning", block.thinking);
    if (typeof of === "string") return [toolResult(of, block)];
    if (typeof id !== "string" || typeof name !== "string") return [];
    return this.#tools.start(key, id, name, type === "tool_use" ? {} : { providerExecuted: true });
  }

  #continue({ type, text, thinking, partial_json: json }: Fields, key: unknown): AnswerChunk[] {
    if (type === "text_delta") return textChunk("text", text);
    if (type === "thinking_delta") return textChunk("reasoning", thinking);
    return type === "input_json_delta" ? this.#tools.add(key, json) : [];
  }

  /** The first event has what the input takes, the last but one the output, and the input again where it has grown. */
  #readUsage(usage: unknown): AnswerChunk[] {
    const fields = fieldsOf(usage);
    const now = usageOf({
      inputTokens: fields.input_tokens,
      outputTokens: fields.output_tokens,
      totalTokens: undefined,
      reasoningTokens: fieldsOf(fields.output_tokens_details).thinking_tokens,
      cachedInputTokens: fields.cache_read_input_tokens,
    });
    if (Object.keys(now).length === 0) return [];
    this.#usage = { ...this.#usage, ...now };
    return [{ type: "usage", usage: this.#usage }];
  }
}

function readFinish(reason: unknown): AnswerChunk[] {
  return typeof reason === "string" ? [{ type: "finish", reason: anthropicFinish(reason) }] : [];
}

/** What a tool of the provider's own answered: whole, in one block. */
function toolResult(id: string, { content, is_error: isError }: Fields): AnswerChunk {
  const failed = isError === true || String(fieldsOf(content).type).endsWith("_error");
  return {
    type: "tool-result",
    id,
    output: content ?? null,
    ...(failed && { isError: true, error: content }),
  };
}
