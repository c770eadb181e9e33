// Every provider's real SDK on a loopback server that speaks the provider's wire format: the same answer, the same chunks.
import { type AnswerChunk, chunksOf, providerFailure, textOf } from "everstream/llm";
import { afterEach, describe, expect, test } from "vitest";
import { type CompletionsServer, type Exchange, startCompletions } from "./completions-server.ts";
import { PROVIDERS } from "./providers.ts";

let server: CompletionsServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function serve(answer: (exchange: Exchange) => Promise<void>): Promise<string> {
  server = await startCompletions(answer);
  return server.baseURL;
}

/** What came, and what it failed with. */
interface Outcome {
  readonly chunks: AnswerChunk[];
  readonly error?: unknown;
}

describe.each(PROVIDERS)("$name", (provider) => {
  async function outcome(baseURL: string, signal?: AbortSignal): Promise<Outcome> {
    const chunks: AnswerChunk[] = [];
    try {
      for await (const chunk of chunksOf(await provider.ask(baseURL, signal), signal)) chunks.push(chunk);
      return { chunks };
    } catch (error) {
      return { chunks, error };
    }
  }

  async function read(baseURL: string): Promise<AnswerChunk[]> {
    const { chunks, ...failed } = await outcome(baseURL);
    if ("error" in failed) throw failed.error;
    return chunks;
  }

  const textIn = (chunks: readonly AnswerChunk[]): string =>
    chunks.map((chunk) => (chunk.type === "text" ? chunk.text : "")).join("");
  const withoutUsage = (chunks: readonly AnswerChunk[]): AnswerChunk[] =>
    chunks.filter(({ type }) => type !== "usage");

  test("text as it comes, then why it ended, and what it has cost", async () => {
    const url = await serve(async (exchange) => {
      await provider.begin(exchange);
      for (const text of ["Once", " upon", " a time"]) await exchange.raw(provider.textBytes(text));
      await provider.end(exchange, "stop");
    });
    const chunks = await read(url);
    expect(withoutUsage(chunks)).toEqual([
      { type: "text", text: "Once" },
      { type: "text", text: " upon" },
      { type: "text", text: " a time" },
      { type: "finish", reason: "stop" },
    ]);
    const last = chunks.findLast((chunk) => chunk.type === "usage");
    expect(last?.usage).toMatchObject(provider.usage);
  });

  test("characters that were cut between chunks, and the same text by textOf", async () => {
    const url = await serve(async (exchange) => {
      await provider.begin(exchange);
      for (const byte of provider.textBytes("Grüße 👋🏽 世界")) await exchange.raw(Uint8Array.of(byte));
      await provider.end(exchange, "stop");
    });
    expect(textIn(await read(url))).toBe("Grüße 👋🏽 世界");
    let text = "";
    for await (const piece of textOf(await provider.ask(url))) text += piece;
    expect(text).toBe("Grüße 👋🏽 世界");
  });

  test("a tool call: begun, its arguments in pieces, and whole", async () => {
    const pieces = ['{"ci', 'ty":"Zü', 'rich"}'];
    const url = await serve(async (exchange) => {
      await provider.begin(exchange);
      await provider.tool(exchange, pieces);
      await provider.end(exchange, "tool-calls");
    });
    const chunks = withoutUsage(await read(url));
    expect(chunks[0]).toEqual({ type: "tool-start", id: "call-1", name: "weather" });
    expect(
      chunks
        .map((chunk) => (chunk.type === "tool-arguments" && chunk.id === "call-1" ? chunk.delta : ""))
        .join(""),
    ).toBe(pieces.join(""));
    expect(chunks.slice(-2)).toEqual([
      { type: "tool-call", id: "call-1", name: "weather", input: { city: "Zürich" } },
      { type: "finish", reason: "tool-calls" },
    ]);
  });

  test("arguments that are no JSON are handed on as what they are", async () => {
    const url = await serve(async (exchange) => {
      await provider.begin(exchange);
      await provider.tool(exchange, ['{"city":']);
      await provider.end(exchange, "tool-calls");
    });
    const calls = (await read(url)).filter(({ type }) => type === "tool-call");
    expect(calls).toMatchObject([{ id: "call-1", invalid: true }]);
  });

  const { reasoning, refusal } = provider;
  if (reasoning)
    test("reasoning is told apart from text", async () => {
      const url = await serve(async (exchange) => {
        await provider.begin(exchange);
        await reasoning?.(exchange, "Let me think.");
        await exchange.raw(provider.textBytes("42"));
        await provider.end(exchange, "stop");
      });
      expect((await read(url)).filter(({ type }) => type === "reasoning" || type === "text")).toEqual([
        { type: "reasoning", text: "Let me think." },
        { type: "text", text: "42" },
      ]);
    });

  if (refusal)
    test("a refusal is text with a reason of its own", async () => {
      const url = await serve(async (exchange) => {
        await provider.begin(exchange);
        await refusal?.(exchange, "I can't help with that.");
        await provider.end(exchange, "refusal");
      });
      expect(withoutUsage(await read(url))).toEqual([
        { type: "text", text: "I can't help with that." },
        { type: "finish", reason: "refusal" },
      ]);
    });

  test.each(["length", "content-filter"] as const)("an end for the reason %s", async (reason) => {
    const url = await serve(async (exchange) => {
      await provider.begin(exchange);
      await exchange.raw(provider.textBytes("Half"));
      await provider.end(exchange, reason);
    });
    const finish = (await read(url)).at(-1) as AnswerChunk;
    const finishes = (await read(url)).filter(({ type }) => type === "finish");
    expect(finishes).toHaveLength(1);
    // Anthropic has no filter of another name.
    const expected =
      provider.name.startsWith("Anthropic") && reason === "content-filter" ? "refusal" : reason;
    expect(finishes[0]).toEqual({ type: "finish", reason: expected });
    expect(["finish", "usage"]).toContain(finish.type);
  });

  test.each([
    ["rate", "PROVIDER_RATE_LIMIT"],
    ["auth", "PROVIDER_AUTH"],
    ["overloaded", "PROVIDER_OVERLOADED"],
    ["length", "PROVIDER_CONTEXT_LENGTH"],
  ] as const)("a provider that refuses (%s) has a code, and its own words stay here", async (kind, code) => {
    const url = await serve(async (exchange) => {
      const { status, body } = provider.fail(kind);
      exchange.json(status, body, { "retry-after": "7" });
    });
    const { error } = await outcome(url);
    expect(error).toBeInstanceOf(Error);
    const failure = providerFailure(error);
    expect(failure).toMatchObject({ code, retryAfterMs: 7000 });
    expect(JSON.stringify(failure)).not.toContain("secret");
    // For the developer it is whole.
    expect(JSON.stringify([(error as Error).message, error])).toContain("secret");
    expect(server?.exchanges).toHaveLength(1);
  });

  test("a connection that is reset in mid-answer is an error: half an answer is not an answer", async () => {
    const url = await serve(async (exchange) => {
      await provider.begin(exchange);
      await exchange.raw(provider.textBytes("Half an"));
      exchange.reset();
    });
    const { chunks, error } = await outcome(url);
    expect(textIn(chunks)).toBe("Half an");
    expect(chunks.filter(({ type }) => type === "finish")).toEqual([]);
    expect(providerFailure(error)?.code).toBe("PROVIDER_NETWORK");
  });

  test("an abort ends the iteration with its reason, and the request at the provider", async () => {
    const url = await serve(async (exchange) => {
      await provider.begin(exchange);
      await exchange.raw(provider.textBytes("Once"));
    });
    const controller = new AbortController();
    const chunks = chunksOf(await provider.ask(url, controller.signal), controller.signal);
    for (let next = await chunks.next(); next.value?.type !== "text"; next = await chunks.next());
    const waiting = chunks.next();
    const reason = new Error("stopped");
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    const exchange = server?.exchanges[0] as Exchange;
    await exchange.closed;
    expect(exchange.cut()).toBe(true);
  });
});

describe.each(PROVIDERS.filter(({ name }) => /^(OpenAI|Anthropic)/.test(name)))("$name", (provider) => {
  test("its request ends with the iteration though it was not given the signal", async () => {
    const url = await serve(async (exchange) => {
      await provider.begin(exchange);
      await exchange.raw(provider.textBytes("Once"));
    });
    const controller = new AbortController();
    const chunks = chunksOf(await provider.ask(url), controller.signal);
    for (let next = await chunks.next(); next.value?.type !== "text"; next = await chunks.next());
    const waiting = chunks.next();
    controller.abort("stopped");
    await expect(waiting).rejects.toBe("stopped");
    await server?.exchanges[0]?.closed;
    expect(server?.exchanges[0]?.cut()).toBe(true);
  });

  test("an answer that just breaks off is an error", async () => {
    const url = await serve(async (exchange) => {
      await provider.begin(exchange);
      await exchange.raw(provider.textBytes("Half"));
      exchange.end();
    });
    const reading = (async () => {
      for await (const _ of chunksOf(await provider.ask(url)));
    })();
    await expect(reading).rejects.toMatchObject({ code: "NETWORK" });
  });
});
