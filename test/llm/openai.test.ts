import { ChatOpenAI } from "@langchain/openai";
import { textOf } from "everstream/llm";
import { afterEach, describe, expect, test } from "vitest";
import { type CompletionsServer, chunkBytes, type Exchange, startCompletions } from "./completions-server.ts";

let server: CompletionsServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

/** LangChain's real model, on a loopback server that answers as `answer` says. */
async function modelOn(answer: (exchange: Exchange) => Promise<void>): Promise<ChatOpenAI> {
  server = await startCompletions(answer);
  return new ChatOpenAI({
    model: "gpt-4-turbo",
    apiKey: "key",
    streaming: true,
    maxRetries: 0,
    configuration: { baseURL: server.baseURL },
  });
}

async function read(model: ChatOpenAI, signal?: AbortSignal): Promise<string[]> {
  const texts: string[] = [];
  const stream = await model.stream("Hello", signal === undefined ? {} : { signal });
  for await (const text of textOf(stream, signal)) texts.push(text);
  return texts;
}

describe("ChatOpenAI through textOf", () => {
  test("yields the content as it comes, and no empty pieces", async () => {
    const model = await modelOn(async (exchange) => {
      await exchange.delta({ role: "assistant", content: "" });
      for (const text of ["Once", " upon", " a time"]) await exchange.text(text);
      await exchange.finish();
    });
    expect(await read(model)).toEqual(["Once", " upon", " a time"]);
    expect(server?.exchanges[0]?.body).toMatchObject({ model: "gpt-4-turbo", stream: true });
    expect(server?.exchanges[0]?.body.messages).toEqual([{ role: "user", content: "Hello" }]);
  });

  test("puts characters together that were cut between chunks", async () => {
    const model = await modelOn(async (exchange) => {
      const bytes = chunkBytes({ content: "Grüße 👋🏽 世界" });
      for (const byte of bytes) await exchange.raw(Uint8Array.of(byte));
      await exchange.finish();
    });
    expect((await read(model)).join("")).toBe("Grüße 👋🏽 世界");
  });

  test("leaves tool calls out", async () => {
    const model = await modelOn(async (exchange) => {
      await exchange.delta({
        tool_calls: [{ index: 0, id: "t", type: "function", function: { name: "f", arguments: "{" } }],
      });
      await exchange.delta({ tool_calls: [{ index: 0, function: { arguments: "}" } }] });
      await exchange.text("done");
      await exchange.finish();
    });
    expect(await read(model)).toEqual(["done"]);
  });

  test.each([
    [401, "invalid_api_key"],
    [429, "rate_limit_exceeded"],
    [500, "server_error"],
  ])("rejects with the provider's error: %i", async (status, code) => {
    const model = await modelOn(async (exchange) => {
      exchange.refuse(status, { message: "refused", type: code, code });
    });
    await expect(read(model)).rejects.toMatchObject({ status });
  });

  test("rejects when the connection is reset in mid-answer: half an answer is not an answer", async () => {
    const model = await modelOn(async (exchange) => {
      await exchange.text("Half an");
      exchange.reset();
    });
    const texts: string[] = [];
    const reading = (async () => {
      for await (const text of textOf(await model.stream("Hello"))) texts.push(text);
    })();
    await expect(reading).rejects.toThrow();
    expect(texts).toEqual(["Half an"]);
  });

  test("an abort ends the iteration with its reason and the request at the provider", async () => {
    const model = await modelOn(async (exchange) => exchange.text("Once"));
    const controller = new AbortController();
    const stream = await model.stream("Hello", { signal: controller.signal });
    const texts = textOf(stream, controller.signal);
    expect(await texts.next()).toEqual({ done: false, value: "Once" });
    const waiting = texts.next();
    controller.abort("the browser left");
    await expect(waiting).rejects.toBe("the browser left");
    const exchange = server?.exchanges[0] as Exchange;
    await exchange.closed;
    expect(exchange.cut()).toBe(true);
  });
});
