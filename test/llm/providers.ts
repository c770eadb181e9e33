// The providers' real SDKs, and what each provider's server sends them: the same answer in the wire format of each.

import { createOpenAI } from "@ai-sdk/openai";
import Anthropic from "@anthropic-ai/sdk";
import { ChatOpenAI } from "@langchain/openai";
import { streamText, tool } from "ai";
import type { AnswerStream, Usage } from "everstream/llm";
import OpenAI from "openai";
import { z } from "zod";
import type { Exchange } from "./completions-server.ts";

export interface Provider {
  readonly name: string;
  /** Asks the real SDK; what it gives may be a promise. */
  ask(baseURL: string, signal?: AbortSignal): AnswerStream | PromiseLike<AnswerStream>;
  begin(exchange: Exchange): Promise<void>;
  /** The bytes of a piece of text. */
  textBytes(text: string): Buffer;
  reasoning?(exchange: Exchange, text: string): Promise<void>;
  /** A call of `weather` under the id `call-1`, its arguments in these pieces. */
  tool(exchange: Exchange, pieces: readonly string[]): Promise<void>;
  refusal?(exchange: Exchange, text: string): Promise<void>;
  /** Ends the answer, as the protocol asks, for its own word for this reason. */
  end(
    exchange: Exchange,
    reason: "stop" | "length" | "tool-calls" | "refusal" | "content-filter",
  ): Promise<void>;
  /** What the server says that it has cost. */
  readonly usage: Usage;
  /** An answer that is no stream: the provider's own body for it. */
  fail(kind: "rate" | "auth" | "overloaded" | "length" | "filter"): { status: number; body: unknown };
}

const QUESTION = "What is the weather?";

function eventBytes(data: unknown, name?: string): Buffer {
  return Buffer.from(`${name === undefined ? "" : `event: ${name}\n`}data: ${JSON.stringify(data)}\n\n`);
}

const FAILURES = {
  rate: {
    status: 429,
    type: "requests",
    code: "rate_limit_exceeded",
    message: "Rate limit reached for org-secret",
  },
  auth: {
    status: 401,
    type: "invalid_request_error",
    code: "invalid_api_key",
    message: "Incorrect API key sk-secret",
  },
  overloaded: { status: 503, type: "server_error", code: "overloaded", message: "secret: overloaded" },
  length: {
    status: 400,
    type: "invalid_request_error",
    code: "context_length_exceeded",
    message: "This model's maximum context length is 10 secret tokens.",
  },
  filter: { status: 400, type: null, code: "content_filter", message: "secret: filtered" },
} as const;

function openAIFailure(kind: keyof typeof FAILURES): { status: number; body: unknown } {
  const { status, ...error } = FAILURES[kind];
  return { status, body: { error: { ...error, param: null } } };
}

function completion(delta: unknown, finish: string | null = null, more: object = {}): object {
  return {
    id: "chatcmpl-1",
    object: "chat.completion.chunk",
    created: 1_700_000_000,
    model: "gpt",
    choices: [{ index: 0, delta, finish_reason: finish }],
    ...more,
  };
}

const COMPLETION_FINISH = {
  stop: "stop",
  length: "length",
  "tool-calls": "tool_calls",
  refusal: "stop",
  "content-filter": "content_filter",
};

const completions: Omit<Provider, "name" | "ask"> = {
  begin: (exchange) => exchange.event(completion({ role: "assistant", content: "" })),
  textBytes: (content) => eventBytes(completion({ content })),
  async tool(exchange, pieces) {
    const call = { index: 0, id: "call-1", type: "function", function: { name: "weather", arguments: "" } };
    await exchange.event(completion({ tool_calls: [call] }));
    for (const piece of pieces) {
      await exchange.event(completion({ tool_calls: [{ index: 0, function: { arguments: piece } }] }));
    }
  },
  async end(exchange, reason) {
    await exchange.event(completion({}, COMPLETION_FINISH[reason]));
    const usage = {
      prompt_tokens: 10,
      completion_tokens: 5,
      total_tokens: 15,
      prompt_tokens_details: { cached_tokens: 4 },
      completion_tokens_details: { reasoning_tokens: 2 },
    };
    await exchange.event(completion({}, null, { choices: [], usage }));
    await exchange.raw(Buffer.from("data: [DONE]\n\n"));
    exchange.end();
  },
  usage: { inputTokens: 10, outputTokens: 5, totalTokens: 15, reasoningTokens: 2, cachedInputTokens: 4 },
  fail: openAIFailure,
};

const RESPONSE = { id: "resp-1", object: "response", created_at: 1_700_000_000, model: "gpt", output: [] };
let sequence = 0;

function response(type: string, fields: object): object {
  return { type, sequence_number: sequence++, ...fields };
}

const responses: Omit<Provider, "name" | "ask"> = {
  async begin(exchange) {
    await exchange.event(response("response.created", { response: { ...RESPONSE, status: "in_progress" } }));
    const item = { type: "message", id: "msg-1", role: "assistant", status: "in_progress", content: [] };
    await exchange.event(response("response.output_item.added", { output_index: 0, item }));
  },
  textBytes: (delta) =>
    eventBytes(
      response("response.output_text.delta", {
        item_id: "msg-1",
        output_index: 0,
        content_index: 0,
        delta,
        logprobs: [],
      }),
    ),
  async tool(exchange, pieces) {
    const item = {
      type: "function_call",
      id: "fc-1",
      call_id: "call-1",
      name: "weather",
      status: "in_progress",
    };
    const place = { item_id: "fc-1", output_index: 1 };
    await exchange.event(
      response("response.output_item.added", { output_index: 1, item: { ...item, arguments: "" } }),
    );
    for (const delta of pieces) {
      await exchange.event(response("response.function_call_arguments.delta", { ...place, delta }));
    }
    const whole = pieces.join("");
    await exchange.event(response("response.function_call_arguments.done", { ...place, arguments: whole }));
    const done = { ...item, arguments: whole, status: "completed" };
    await exchange.event(response("response.output_item.done", { output_index: 1, item: done }));
  },
  async end(exchange, reason) {
    const incomplete = { length: "max_output_tokens", "content-filter": "content_filter" }[reason as string];
    const status = incomplete === undefined ? "completed" : "incomplete";
    const usage = {
      input_tokens: 10,
      input_tokens_details: { cached_tokens: 4 },
      output_tokens: 5,
      output_tokens_details: { reasoning_tokens: 2 },
      total_tokens: 15,
    };
    const incomplete_details = incomplete === undefined ? null : { reason: incomplete };
    await exchange.event(
      response(`response.${status}`, { response: { ...RESPONSE, status, incomplete_details, usage } }),
    );
    exchange.end();
  },
  usage: { inputTokens: 10, outputTokens: 5, totalTokens: 15, reasoningTokens: 2, cachedInputTokens: 4 },
  fail: openAIFailure,
};

const ANTHROPIC_FINISH = {
  stop: "end_turn",
  length: "max_tokens",
  "tool-calls": "tool_use",
  refusal: "refusal",
  "content-filter": "refusal",
};
const ANTHROPIC_FAILURES = {
  rate: [429, "rate_limit_error"],
  auth: [401, "authentication_error"],
  overloaded: [529, "overloaded_error"],
  length: [400, "invalid_request_error"],
  filter: [400, "invalid_request_error"],
} as const;

function block(exchange: Exchange, type: string, index: number, fields: object): Promise<void> {
  return exchange.event({ type, index, ...fields }, type);
}

const anthropic: Provider = {
  name: "Anthropic's SDK",
  ask: (baseURL, signal) =>
    new Anthropic({ apiKey: "key", baseURL: baseURL.replace(/\/v1$/, ""), maxRetries: 0 }).messages.create(
      { model: "claude", max_tokens: 100, messages: [{ role: "user", content: QUESTION }], stream: true },
      { signal },
    ),
  async begin(exchange) {
    const message = { id: "msg-1", type: "message", role: "assistant", model: "claude", content: [] };
    const usage = { input_tokens: 10, output_tokens: 1, cache_read_input_tokens: 4 };
    await exchange.event({ type: "message_start", message: { ...message, usage } }, "message_start");
    await exchange.event({ type: "ping" }, "ping");
    await block(exchange, "content_block_start", 0, { content_block: { type: "text", text: "" } });
  },
  textBytes: (text) =>
    eventBytes(
      { type: "content_block_delta", index: 0, delta: { type: "text_delta", text } },
      "content_block_delta",
    ),
  async reasoning(exchange, thinking) {
    await block(exchange, "content_block_start", 2, { content_block: { type: "thinking", thinking: "" } });
    await block(exchange, "content_block_delta", 2, { delta: { type: "thinking_delta", thinking } });
    await block(exchange, "content_block_delta", 2, { delta: { type: "signature_delta", signature: "s" } });
    await block(exchange, "content_block_stop", 2, {});
  },
  async tool(exchange, pieces) {
    const start = { type: "tool_use", id: "call-1", name: "weather", input: {} };
    await block(exchange, "content_block_start", 1, { content_block: start });
    for (const piece of pieces) {
      await block(exchange, "content_block_delta", 1, {
        delta: { type: "input_json_delta", partial_json: piece },
      });
    }
    await block(exchange, "content_block_stop", 1, {});
  },
  async end(exchange, reason) {
    await block(exchange, "content_block_stop", 0, {});
    const delta = { stop_reason: ANTHROPIC_FINISH[reason], stop_sequence: null };
    await exchange.event({ type: "message_delta", delta, usage: { output_tokens: 5 } }, "message_delta");
    await exchange.event({ type: "message_stop" }, "message_stop");
    exchange.end();
  },
  usage: { inputTokens: 10, outputTokens: 5, cachedInputTokens: 4 },
  fail(kind) {
    const [status, type] = ANTHROPIC_FAILURES[kind];
    const message = kind === "length" ? "prompt is too long: 11 secret tokens" : "secret";
    return { status, body: { type: "error", error: { type, message } } };
  },
};

/** The SDK's own client, which tries nothing again. */
function openAI(baseURL: string): OpenAI {
  return new OpenAI({ apiKey: "key", baseURL, maxRetries: 0 });
}

function aiSdk(baseURL: string, api: "chat" | "responses", abortSignal?: AbortSignal): AnswerStream {
  const model = createOpenAI({ apiKey: "key", baseURL })[api]("gpt-4.1");
  return streamText({
    model,
    prompt: QUESTION,
    maxRetries: 0,
    tools: { weather: tool({ inputSchema: z.object({ city: z.string() }) }) },
    onError: () => undefined,
    ...(abortSignal && { abortSignal }),
  });
}

export const PROVIDERS: readonly Provider[] = [
  {
    name: "OpenAI's SDK, chat completions",
    ...completions,
    refusal: (exchange, refusal) => exchange.event(completion({ refusal })),
    reasoning: (exchange, reasoning_content) => exchange.event(completion({ reasoning_content })),
    ask: (baseURL, signal) =>
      openAI(baseURL).chat.completions.create(
        {
          model: "gpt",
          messages: [{ role: "user", content: QUESTION }],
          stream: true,
          stream_options: { include_usage: true },
        },
        { signal },
      ),
  },
  {
    name: "OpenAI's SDK, responses",
    ...responses,
    ask: (baseURL, signal) =>
      openAI(baseURL).responses.create({ model: "gpt", input: QUESTION, stream: true }, { signal }),
    reasoning: (exchange, delta) =>
      exchange.event(
        response("response.reasoning_summary_text.delta", {
          item_id: "rs-1",
          output_index: 0,
          summary_index: 0,
          delta,
        }),
      ),
    refusal: (exchange, delta) =>
      exchange.event(
        response("response.refusal.delta", { item_id: "msg-1", output_index: 0, content_index: 0, delta }),
      ),
  },
  anthropic,
  {
    name: "LangChain's ChatOpenAI",
    ...completions,
    ask: (baseURL, signal) =>
      new ChatOpenAI({ model: "gpt", apiKey: "key", maxRetries: 0, configuration: { baseURL } }).stream(
        QUESTION,
        {
          ...(signal && { signal }),
        },
      ),
  },
  {
    name: "LangChain's ChatOpenAI, responses",
    ...responses,
    ask: (baseURL, signal) =>
      new ChatOpenAI({
        model: "gpt",
        apiKey: "key",
        maxRetries: 0,
        useResponsesApi: true,
        configuration: { baseURL },
      }).stream(QUESTION, { ...(signal && { signal }) }),
  },
  { name: "the AI SDK, chat", ...completions, ask: (baseURL, signal) => aiSdk(baseURL, "chat", signal) },
  {
    name: "the AI SDK, responses",
    ...responses,
    ask: (baseURL, signal) => aiSdk(baseURL, "responses", signal),
  },
];
