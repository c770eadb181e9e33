/** What a model's work has cost so far, in tokens. Figures that the provider does not give are left out. */
export interface Usage {
  readonly inputTokens?: number;
  readonly outputTokens?: number;
  readonly totalTokens?: number;
  /** Of the output: what the model thought. */
  readonly reasoningTokens?: number;
  /** Of the input: what came from the provider's cache. */
  readonly cachedInputTokens?: number;
}

/**
 * Why a model's answer is complete: it came to its end, to its limit, wants tools to be called, was held back by a
 * filter, or declined to answer. `other` is what the provider calls by a name of its own.
 */
export type FinishReason = "stop" | "length" | "tool-calls" | "content-filter" | "refusal" | "other";

/** A tool call, as far as all of its chunks have it. */
interface ToolCall {
  /** The provider's id of the call. */
  readonly id: string;
  readonly name: string;
  /** The provider, or its SDK, runs the tool itself. */
  readonly providerExecuted?: true;
  /** The tool was not known when the program was written, as those of an MCP server. */
  readonly dynamic?: true;
}

/**
 * One piece of a model's answer, whichever provider streams it.
 *
 * - `text`, `reasoning`: a piece that is never empty. The words of a refusal are text.
 * - `tool-start`, `tool-arguments`, `tool-call`: a call begins, a piece of its arguments' JSON, and the call as a whole. Where
 *   the arguments are no JSON, `invalid` is set and `input` is their text.
 * - `tool-result`: what a tool answered, where it was run by the provider or its SDK. `error` is what it threw: for the
 *   developer, not for clients.
 * - `usage`: of the whole stream so far; each replaces the one before.
 * - `finish`: why the answer is complete. Once, and not where the stream failed.
 */
export type AnswerChunk =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "reasoning"; readonly text: string }
  | ({ readonly type: "tool-start" } & ToolCall)
  | { readonly type: "tool-arguments"; readonly id: string; readonly delta: string }
  | ({ readonly type: "tool-call"; readonly input: unknown; readonly invalid?: true } & ToolCall)
  | {
      readonly type: "tool-result";
      readonly id: string;
      readonly output: unknown;
      readonly isError?: true;
      readonly error?: unknown;
    }
  | { readonly type: "usage"; readonly usage: Usage }
  | { readonly type: "finish"; readonly reason: FinishReason };

/** Reads one provider's stream. It keeps what it has to know of earlier chunks, so that each stream has its own. */
export interface ChunkReader {
  /** What one chunk of the provider's holds. */
  read(chunk: Fields): AnswerChunk[];
  /**
   * What is left when the stream has ended.
   *
   * @throws EverstreamError `NETWORK` where it ended before the answer did; what the provider reported as failed.
   */
  end(): AnswerChunk[];
}

/** An object of which nothing is known. */
export type Fields = Readonly<Record<string, unknown>>;

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null;
}

/** The value's fields, none where it is no object: for reading what a provider may leave out. */
export function fieldsOf(value: unknown): Fields {
  return isFields(value) ? value : {};
}

/** A piece of text as a chunk; none where there is no text. */
export function textChunk(type: "text" | "reasoning", text: unknown): AnswerChunk[] {
  return typeof text === "string" && text !== "" ? [{ type, text }] : [];
}

/** The figures that there are. */
export function usageOf(figures: Readonly<Record<keyof Usage, unknown>>): Usage {
  return Object.fromEntries(Object.entries(figures).filter(([, value]) => typeof value === "number"));
}

/** Both together; what one of them leaves out counts as nothing. */
export function addUsage(a: Usage, b: Usage): Usage {
  const sum: Record<string, number> = { ...a };
  for (const [name, value] of Object.entries(b) as [string, number][]) sum[name] = (sum[name] ?? 0) + value;
  return sum;
}
