import {
  type AnswerChunk,
  type ChunkReader,
  type Fields,
  type FinishReason,
  fieldsOf,
  textChunk,
  usageOf,
} from "./chunks.ts";
import { incompleteError, providerReported } from "./failure.ts";
import { ToolCalls } from "./tool-calls.ts";

const FINISH: Readonly<Record<string, FinishReason>> = {
  stop: "stop",
  length: "length",
  tool_calls: "tool-calls",
  function_call: "tool-calls",
  content_filter: "content-filter",
};

/** What OpenAI calls the reason, in our words. */
export function openAIFinish(reason: string): FinishReason {
  return FINISH[reason] ?? "other";
}

/** Reads `chat.completions.create({ stream: true })`: the first choice. */
export class CompletionReader implements ChunkReader {
  readonly #tools = new ToolCalls();
  #refused = false;
  #finished = false;

  read(chunk: Fields): AnswerChunk[] {
    const choices = (Array.isArray(chunk.choices) ? chunk.choices : []).map(fieldsOf);
    const choice = choices.find(({ index }) => index === undefined || index === 0);
    return [...(choice === undefined ? [] : this.#readChoice(choice)), ...readUsage(chunk.usage)];
  }

  end(): AnswerChunk[] {
    if (!this.#finished) throw incompleteError();
    return [];
  }

  #readChoice(choice: Fields): AnswerChunk[] {
    const delta = fieldsOf(choice.delta);
    const refusal = textChunk("text", delta.refusal);
    if (refusal.length > 0) this.#refused = true;
    const chunks = [
      // Not OpenAI's own, but common among those who speak its protocol, under one name or the other.
      ...textChunk("reasoning", delta.reasoning_content ?? delta.reasoning),
      ...textChunk("text", delta.content),
      ...refusal,
      ...(Array.isArray(delta.tool_calls) ? delta.tool_calls : []).flatMap((call) =>
        this.#readTool(fieldsOf(call)),
      ),
    ];
    const { finish_reason: finish } = choice;
    // Some who speak OpenAI's protocol send "" where it has null.
    if (typeof finish !== "string" || finish === "" || this.#finished) return chunks;
    this.#finished = true;
    const reason = this.#refused ? "refusal" : openAIFinish(finish);
    return [...chunks, ...this.#tools.finishAll(), { type: "finish", reason }];
  }

  #readTool({ index, id, function: called }: Fields): AnswerChunk[] {
    const { name, arguments: args } = fieldsOf(called);
    const key = index ?? id;
    const begins = this.#tools.begins(key, id) && typeof id === "string" && typeof name === "string";
    const begun = begins ? [...this.#tools.finish(key), ...this.#tools.start(key, id, name)] : [];
    return [...begun, ...this.#tools.add(key, args)];
  }
}

function readUsage(usage: unknown): AnswerChunk[] {
  if (usage === undefined || usage === null) return [];
  const fields = fieldsOf(usage);
  return [
    {
      type: "usage",
      usage: usageOf({
        inputTokens: fields.prompt_tokens,
        outputTokens: fields.completion_tokens,
        totalTokens: fields.total_tokens,
        reasoningTokens: fieldsOf(fields.completion_tokens_details).reasoning_tokens,
        cachedInputTokens: fieldsOf(fields.prompt_tokens_details).cached_tokens,
      }),
    },
  ];
}

/** Reads `responses.create({ stream: true })`. Events that say nothing of an answer's text or tools are passed over. */
export class ResponseReader implements ChunkReader {
  readonly #tools = new ToolCalls();
  #refused = false;
  #finished = false;

  read(event: Fields): AnswerChunk[] {
    switch (event.type) {
      case "response.output_text.delta":
        return textChunk("text", event.delta);
      case "response.refusal.delta":
        this.#refused = true;
        return textChunk("text", event.delta);
      case "response.reasoning_summary_text.delta":
      case "response.reasoning_text.delta":
        return textChunk("reasoning", event.delta);
      case "response.reasoning_summary_part.added":
        // Parts of a summary are paragraphs.
        return event.summary_index === 0 ? [] : textChunk("reasoning", "\n\n");
      case "response.output_item.added":
        return this.#begin(fieldsOf(event.item), event.output_index);
      case "response.function_call_arguments.delta":
      case "response.mcp_call_arguments.delta":
        return this.#tools.add(event.output_index, event.delta);
      case "response.output_item.done":
        return this.#complete(fieldsOf(event.item), event.output_index);
      case "response.completed":
      case "response.incomplete":
        return this.#finish(fieldsOf(event.response));
      case "response.failed":
        throw providerReported(fieldsOf(event.response).error);
      case "error":
        throw providerReported(event);
      default:
        return [];
    }
  }

  end(): AnswerChunk[] {
    if (!this.#finished) throw incompleteError();
    return [];
  }

  #begin(item: Fields, key: unknown): AnswerChunk[] {
    const id = item.type === "mcp_call" ? item.id : item.call_id;
    if (!isCall(item.type) || typeof id !== "string" || typeof item.name !== "string") return [];
    return this.#tools.start(key, id, item.name, item.type === "mcp_call" ? { providerExecuted: true } : {});
  }

  #complete(item: Fields, key: unknown): AnswerChunk[] {
    if (!isCall(item.type)) return [];
    if (item.type === "custom_tool_call") {
      // Its input is any text, and no JSON.
      return this.#tools.finish(key, JSON.stringify(item.input));
    }
    const call = this.#tools.finish(key, typeof item.arguments === "string" ? item.arguments : undefined);
    if (item.type !== "mcp_call" || typeof item.id !== "string") return call;
    const { id, output, error } = item;
    const failed = error !== undefined && error !== null;
    return [
      ...call,
      { type: "tool-result", id, output: output ?? null, ...(failed && { isError: true, error }) },
    ];
  }

  #finish({ usage, incomplete_details: incomplete }: Fields): AnswerChunk[] {
    this.#finished = true;
    const chunks = this.#tools.finishAll();
    if (usage !== undefined && usage !== null) chunks.push(responseUsage(fieldsOf(usage)));
    return [...chunks, { type: "finish", reason: this.#reason(fieldsOf(incomplete).reason) }];
  }

  #reason(incomplete: unknown): FinishReason {
    if (typeof incomplete === "string") return incompleteFinish(incomplete);
    if (this.#refused) return "refusal";
    return this.#tools.ownCount > 0 ? "tool-calls" : "stop";
  }
}

/** Why a response is not complete, in our words. */
export function incompleteFinish(reason: string): FinishReason {
  if (reason === "max_output_tokens") return "length";
  return reason === "content_filter" ? "content-filter" : "other";
}

function isCall(type: unknown): boolean {
  return type === "function_call" || type === "custom_tool_call" || type === "mcp_call";
}

function responseUsage(usage: Fields): AnswerChunk {
  return {
    type: "usage",
    usage: usageOf({
      inputTokens: usage.input_tokens,
      outputTokens: usage.output_tokens,
      totalTokens: usage.total_tokens,
      reasoningTokens: fieldsOf(usage.output_tokens_details).reasoning_tokens,
      cachedInputTokens: fieldsOf(usage.input_tokens_details).cached_tokens,
    }),
  };
}
