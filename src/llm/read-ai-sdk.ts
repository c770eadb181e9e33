import {
  type AnswerChunk,
  addUsage,
  type ChunkReader,
  type Fields,
  type FinishReason,
  fieldsOf,
  textChunk,
  type Usage,
  usageOf,
} from "./chunks.ts";
import { incompleteError, providerReported } from "./failure.ts";

const TYPES: ReadonlySet<unknown> = new Set(
  `start start-step finish-step finish abort error raw file source text-start text-delta text-end reasoning-start
  reasoning-delta reasoning-end tool-input-start tool-input-delta tool-input-end tool-call tool-result tool-error
  tool-output-denied tool-approval-request`.split(/\s+/),
);

export function isStreamPart(type: unknown): boolean {
  return TYPES.has(type);
}

const FINISH: ReadonlySet<unknown> = new Set(["stop", "length", "tool-calls", "content-filter"]);

/** Reads the `fullStream` of the AI SDK's `streamText`. */
export class StreamPartReader implements ChunkReader {
  /** Of the steps that are complete, so that it is known where there is no total at the end. */
  #usage: Usage = {};
  readonly #started = new Set<string>();
  #failure: unknown;
  #failed = false;
  #finished = false;
  #aborted = false;
  #abortReason: unknown;

  read(part: Fields): AnswerChunk[] {
    switch (part.type) {
      case "text-delta":
        return textChunk("text", part.text);
      case "reasoning-delta":
        return textChunk("reasoning", part.text);
      case "finish-step":
        this.#usage = addUsage(this.#usage, readUsage(fieldsOf(part.usage)));
        return [{ type: "usage", usage: this.#usage }];
      case "finish":
        return this.#finish(part);
      case "abort":
        // Whatever signal it was, the request's own time limit, too: half an answer is no answer.
        this.#aborted = true;
        this.#abortReason = part.reason;
        return [];
      case "error":
        // What the work has cost comes after it.
        if (!this.#failed) this.#failure = part.error;
        this.#failed = true;
        return [];
      default:
        return this.#readTool(part);
    }
  }

  end(): AnswerChunk[] {
    if (this.#failed) throw this.#failure instanceof Error ? this.#failure : providerReported(this.#failure);
    if (this.#aborted || !this.#finished) throw incompleteError(this.#abortReason);
    return [];
  }

  #finish({ totalUsage, finishReason }: Fields): AnswerChunk[] {
    this.#finished = true;
    const chunks: AnswerChunk[] = [{ type: "usage", usage: readUsage(fieldsOf(totalUsage)) }];
    if (this.#failed) return chunks;
    const reason = FINISH.has(finishReason) ? (finishReason as FinishReason) : "other";
    return [...chunks, { type: "finish", reason }];
  }

  #readTool(part: Fields): AnswerChunk[] {
    const id =
      part.type === "tool-input-start" || part.type === "tool-input-delta" ? part.id : part.toolCallId;
    if (typeof id !== "string") return [];
    switch (part.type) {
      case "tool-input-start":
        return this.#start(id, part);
      case "tool-input-delta":
        return typeof part.delta === "string" && part.delta !== ""
          ? [{ type: "tool-arguments", id, delta: part.delta }]
          : [];
      case "tool-call":
        return [...this.#start(id, part), this.#call(id, part)];
      case "tool-result":
        return [{ type: "tool-result", id, output: part.output ?? null }];
      case "tool-error":
        return [{ type: "tool-result", id, output: null, isError: true, error: part.error }];
      case "tool-output-denied":
        return [{ type: "tool-result", id, output: null, isError: true }];
      default:
        return [];
    }
  }

  #start(id: string, part: Fields): AnswerChunk[] {
    if (this.#started.has(id)) return [];
    this.#started.add(id);
    return [{ type: "tool-start", id, name: String(part.toolName), ...flagsOf(part) }];
  }

  #call(id: string, part: Fields): AnswerChunk {
    const call = { id, name: String(part.toolName), ...flagsOf(part), input: part.input ?? {} };
    return { type: "tool-call", ...call, ...(part.invalid === true && { invalid: true }) };
  }
}

function flagsOf({ providerExecuted, dynamic }: Fields): { providerExecuted?: true; dynamic?: true } {
  return {
    ...(providerExecuted === true && { providerExecuted: true }),
    ...(dynamic === true && { dynamic: true }),
  };
}

/** Version 6 has details that earlier versions had beside the sums. */
function readUsage(usage: Fields): Usage {
  return usageOf({
    inputTokens: usage.inputTokens,
    outputTokens: usage.outputTokens,
    totalTokens: usage.totalTokens,
    reasoningTokens: fieldsOf(usage.outputTokenDetails).reasoningTokens ?? usage.reasoningTokens,
    cachedInputTokens: fieldsOf(usage.inputTokenDetails).cacheReadTokens ?? usage.cachedInputTokens,
  });
}
