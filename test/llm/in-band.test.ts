// What single providers have of their own, and failures that they tell of within an answer.

import { createOpenAI } from "@ai-sdk/openai";
import Anthropic from "@anthropic-ai/sdk";
import { AIMessageChunk, type AIMessageChunkFields, ToolMessage } from "@langchain/core/messages";
import { stepCountIs, streamText, tool } from "ai";
import {
  type AnswerChunk,
  type AnswerStream,
  chunksOf,
  type ProviderChunk,
  providerFailure,
} from "everstream/llm";
import OpenAI from "openai";
import { afterEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { type CompletionsServer, type Exchange, startCompletions } from "./completions-server.ts";
import { PROVIDERS, type Provider } from "./providers.ts";

const provider = (name: string): Provider => PROVIDERS.find((each) => each.name === name) as Provider;

let server: CompletionsServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function serve(answer: (exchange: Exchange, index: number) => Promise<void>): Promise<string> {
  let count = 0;
  server = await startCompletions((exchange) => answer(exchange, count++));
  return server.baseURL;
}

async function outcome(stream: AnswerStream): Promise<{ chunks: AnswerChunk[]; error?: unknown }> {
  const chunks: AnswerChunk[] = [];
  try {
    for await (const chunk of chunksOf(stream)) chunks.push(chunk);
    return { chunks };
  } catch (error) {
    return { chunks, error };
  }
}

async function* from<T>(...chunks: T[]): AsyncGenerator<T> {
  yield* chunks;
}

describe("OpenAI's responses", () => {
  const { begin, ask } = provider("OpenAI's SDK, responses");

  test.each([
    ["response.failed", { response: { error: { code: "rate_limit_exceeded", message: "secret" } } }],
    ["error", { code: "rate_limit_exceeded", message: "secret", param: null }],
  ])("that fail with %s", async (type, fields) => {
    const url = await serve(async (exchange) => {
      await begin(exchange);
      await exchange.event({ type, sequence_number: 9, ...fields });
      exchange.end();
    });
    const { error } = await outcome(await ask(url));
    expect(error).toMatchObject({ code: "PROVIDER_FAILED", cause: { message: "secret" } as unknown });
    expect(providerFailure(error)?.code).toBe("PROVIDER_RATE_LIMIT");
  });

  test("a call of an MCP server is shown with its result; parts of a summary are paragraphs", async () => {
    const call = { type: "mcp_call", id: "mcp-1", name: "search", server_label: "docs" };
    const summary = { item_id: "rs-1", output_index: 0 };
    const { chunks } = await outcome(
      from(
        { type: "response.reasoning_summary_part.added", ...summary, summary_index: 0 },
        { type: "response.reasoning_summary_text.delta", ...summary, summary_index: 0, delta: "One" },
        { type: "response.reasoning_summary_part.added", ...summary, summary_index: 1 },
        { type: "response.reasoning_summary_text.delta", ...summary, summary_index: 1, delta: "Two" },
        { type: "response.output_item.added", output_index: 1, item: { ...call, arguments: "" } },
        { type: "response.mcp_call_arguments.delta", output_index: 1, item_id: "mcp-1", delta: '{"q":1}' },
        {
          type: "response.output_item.done",
          output_index: 1,
          item: { ...call, arguments: '{"q":1}', output: "found", error: null },
        },
        { type: "response.completed", response: {} },
      ),
    );
    expect(chunks.map((chunk) => (chunk.type === "reasoning" ? chunk.text : "")).join("")).toBe("One\n\nTwo");
    expect(chunks.slice(-4)).toEqual([
      { type: "tool-arguments", id: "mcp-1", delta: '{"q":1}' },
      { type: "tool-call", id: "mcp-1", name: "search", providerExecuted: true, input: { q: 1 } },
      { type: "tool-result", id: "mcp-1", output: "found" },
      { type: "finish", reason: "stop" },
    ]);
  });
});

describe("OpenAI's completions", () => {
  test("several calls at once, and other choices left alone", async () => {
    const url = await serve(async (exchange) => {
      const chunk = (index: number, delta: object, finish_reason: string | null = null) =>
        exchange.event({ object: "chat.completion.chunk", choices: [{ index, delta, finish_reason }] });
      const part = (index: number, id?: string, args = "") => ({
        index,
        ...(id && { id }),
        function: { ...(id && { name: `f${index}` }), arguments: args },
      });
      await chunk(0, { tool_calls: [part(0, "a"), part(1, "b")] });
      await chunk(1, { content: "another choice" });
      await chunk(0, { tool_calls: [part(1, undefined, "[1]"), part(0, undefined, "[0]")] });
      await chunk(0, {}, "tool_calls");
      exchange.end();
    });
    const client = new OpenAI({ apiKey: "key", baseURL: url, maxRetries: 0 });
    const { chunks } = await outcome(
      await client.chat.completions.create({ model: "gpt", messages: [], stream: true }),
    );
    expect(chunks.filter(({ type }) => type === "text")).toEqual([]);
    expect(chunks.filter(({ type }) => type === "tool-call")).toEqual([
      { type: "tool-call", id: "a", name: "f0", input: [0] },
      { type: "tool-call", id: "b", name: "f1", input: [1] },
    ]);
  });
});

describe("Anthropic's messages", () => {
  const { begin, textBytes, end } = provider("Anthropic's SDK");
  const client = (url: string) =>
    new Anthropic({ apiKey: "key", baseURL: url.replace(/\/v1$/, ""), maxRetries: 0 });
  const question = { model: "claude", max_tokens: 9, messages: [{ role: "user" as const, content: "?" }] };

  test("that are overloaded in mid-answer: the SDK's own error, with our code", async () => {
    const url = await serve(async (exchange) => {
      await begin(exchange);
      await exchange.raw(textBytes("Half"));
      await exchange.event(
        { type: "error", error: { type: "overloaded_error", message: "secret" } },
        "error",
      );
      exchange.end();
    });
    const { error } = await outcome(await client(url).messages.create({ ...question, stream: true }));
    expect(error).toBeInstanceOf(Anthropic.APIError);
    expect(providerFailure(error)?.code).toBe("PROVIDER_OVERLOADED");
  });

  test("by the SDK's helper; a tool that runs there, with its result", async () => {
    const url = await serve(async (exchange) => {
      await begin(exchange);
      const block = (type: string, index: number, fields: object) =>
        exchange.event({ type, index, ...fields }, type);
      const use = { type: "server_tool_use", id: "srv-1", name: "web_search", input: {} };
      await block("content_block_start", 1, { content_block: use });
      await block("content_block_delta", 1, {
        delta: { type: "input_json_delta", partial_json: '{"query":"x"}' },
      });
      await block("content_block_stop", 1, {});
      const result = { type: "web_search_tool_result", tool_use_id: "srv-1", content: [{ title: "X" }] };
      await block("content_block_start", 2, { content_block: result });
      await block("content_block_stop", 2, {});
      await end(exchange, "stop");
    });
    const { chunks, error } = await outcome(client(url).messages.stream(question));
    expect(error).toBeUndefined();
    expect(chunks.filter(({ type }) => type === "tool-call" || type === "tool-result")).toEqual([
      { type: "tool-call", id: "srv-1", name: "web_search", providerExecuted: true, input: { query: "x" } },
      { type: "tool-result", id: "srv-1", output: [{ title: "X" }] },
    ]);
  });
});

describe("LangChain's messages", () => {
  test("reasoning blocks, usage that adds up, the reason of Anthropic's models, a tool's message", async () => {
    const usage = (input_tokens: number, output_tokens: number) => ({
      usage_metadata: { input_tokens, output_tokens, total_tokens: input_tokens + output_tokens },
    });
    const part = (fields: object) => new AIMessageChunk(fields as AIMessageChunkFields);
    const { chunks } = await outcome(
      from<ProviderChunk>(
        part({ content: [{ type: "thinking", thinking: "Hm" }], ...usage(10, 0) }),
        part({ content: [{ type: "reasoning", reasoning: "m" }] }),
        part({
          content: "A",
          ...usage(0, 5),
          additional_kwargs: { stop_reason: "max_tokens" },
        }),
        new ToolMessage({ content: "sunny", tool_call_id: "call-1" }),
      ),
    );
    expect(chunks).toEqual([
      { type: "reasoning", text: "Hm" },
      { type: "usage", usage: { inputTokens: 10, outputTokens: 0, totalTokens: 10 } },
      { type: "reasoning", text: "m" },
      { type: "text", text: "A" },
      { type: "usage", usage: { inputTokens: 10, outputTokens: 5, totalTokens: 15 } },
      { type: "tool-result", id: "call-1", output: "sunny" },
      { type: "finish", reason: "length" },
    ]);
  });
});

describe("the AI SDK", () => {
  const { begin, tool: callTool, textBytes, end } = provider("the AI SDK, chat");

  test("several steps as one answer: results of tools, and the usage of all steps", async () => {
    const url = await serve(async (exchange, index) => {
      await begin(exchange);
      if (index === 0) {
        await callTool(exchange, ['{"city":"Bern"}']);
        return end(exchange, "tool-calls");
      }
      await exchange.raw(textBytes("Sunny."));
      return end(exchange, "stop");
    });
    const execute = async ({ city }: { city: string }) => ({ city, sky: "clear" });
    const answer = streamText({
      model: createOpenAI({ apiKey: "key", baseURL: url }).chat("gpt"),
      prompt: "?",
      stopWhen: stepCountIs(3),
      tools: { weather: tool({ inputSchema: z.object({ city: z.string() }), execute }) },
    });
    const { chunks } = await outcome(answer);
    const kinds = chunks.map(({ type }) => type).filter((type) => type !== "tool-arguments");
    expect(kinds).toEqual([
      "tool-start",
      "tool-call",
      "tool-result",
      "usage",
      "text",
      "usage",
      "usage",
      "finish",
    ]);
    expect(chunks.find(({ type }) => type === "tool-result")).toEqual({
      type: "tool-result",
      id: "call-1",
      output: { city: "Bern", sky: "clear" },
    });
    expect(chunks.at(-2)).toMatchObject({ usage: { inputTokens: 20, outputTokens: 10 } });
  });
});
