// Providers' streams as events: of a run, and of one client's stream.
import { createHub, createRuns, type Hub, type Runs, streamEvents } from "everstream";
import { type AnswerStream, pipeAnswer } from "everstream/llm";
import { createParser } from "everstream/protocol";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { eventually } from "../session/eventually.ts";
import { type CompletionsServer, type Exchange, startCompletions } from "./completions-server.ts";
import { PROVIDERS, type Provider } from "./providers.ts";

const anthropic = PROVIDERS.find(({ name }) => name.startsWith("Anthropic")) as Provider;

let hub: Hub;
let runs: Runs;
let server: CompletionsServer | undefined;
let thrown: unknown[];

beforeEach(() => {
  thrown = [];
  hub = createHub();
  runs = createRuns({
    hub,
    onError: (error) => {
      thrown.push(error);
      return undefined;
    },
  });
});
afterEach(async () => {
  await runs.close();
  await hub.close();
  await server?.close();
  server = undefined;
});

async function serve(answer: (exchange: Exchange) => Promise<void>): Promise<string> {
  server = await startCompletions(answer);
  return server.baseURL;
}

interface Sent {
  readonly type: string;
  readonly data: unknown;
}

async function read(response: Response): Promise<Sent[]> {
  const events: Sent[] = [];
  const parser = createParser({
    onEvent: ({ event, data }) => {
      if (!event.startsWith("sse:"))
        events.push({ type: event, data: data === "" ? undefined : JSON.parse(data) });
    },
  });
  parser.push(await response.text());
  return events;
}

/** The events of a run that is over. */
async function eventsOf(id: string): Promise<Sent[]> {
  await runs.ended(id);
  return (await read(await runs.respond(new Request("http://test/"), id))).filter(
    ({ type }) => type !== "run",
  );
}

async function* from<T>(...chunks: T[]): AsyncGenerator<T> {
  yield* chunks;
}

describe("to a run", () => {
  test("text, reasoning, tools and usage as events; the reason and the usage in its end", async () => {
    const url = await serve(async (exchange) => {
      await anthropic.begin(exchange);
      await anthropic.reasoning?.(exchange, "Let me think.");
      await exchange.raw(anthropic.textBytes("One moment. "));
      await anthropic.tool(exchange, ['{"city":', '"Bern"}']);
      await anthropic.end(exchange, "tool-calls");
    });
    let answer: unknown;
    await runs.start({
      id: "a",
      produce: async (run) => {
        answer = await pipeAnswer(anthropic.ask(url, run.signal), run);
        run.meta({ title: "Weather" });
      },
    });
    const events = await eventsOf("a");
    const usage = { inputTokens: 10, outputTokens: 5, cachedInputTokens: 4 };
    expect(events.filter(({ data }) => (data as { state?: string }).state !== "arguments")).toEqual([
      { type: "usage", data: { ...usage, outputTokens: 1 } },
      { type: "reasoning", data: { content: "Let me think." } },
      { type: "token", data: { content: "One moment. " } },
      { type: "tool", data: { id: "call-1", name: "weather", state: "started" } },
      { type: "tool", data: { id: "call-1", name: "weather", input: { city: "Bern" }, state: "called" } },
      { type: "usage", data: usage },
      { type: "done", data: { finishReason: "tool-calls", usage, title: "Weather" } },
    ]);
    const deltas = events.map(({ data }) => (data as { delta?: string }).delta ?? "").join("");
    expect(deltas).toBe('{"city":"Bern"}');
    expect(answer).toMatchObject({
      text: "One moment. ",
      reasoning: "Let me think.",
      toolCalls: [{ id: "call-1", name: "weather", input: { city: "Bern" } }],
      finishReason: "tool-calls",
      usage,
    });
  });

  test("pieces of reasoning and of arguments are joined, and never overtaken", async () => {
    const parts = [
      ...[..."thinking"].map((text) => ({ type: "reasoning-delta", id: "r", text })),
      { type: "text-delta", id: "t", text: "so" },
      { type: "tool-input-start", id: "1", toolName: "f" },
      ...[..."{}"].map((delta) => ({ type: "tool-input-delta", id: "1", delta })),
      { type: "tool-call", toolCallId: "1", toolName: "f", input: {} },
      { type: "tool-error", toolCallId: "1", toolName: "f", error: new Error("postgres://secret") },
      { type: "finish", finishReason: "stop", totalUsage: { inputTokens: 1 } },
    ];
    const seen: unknown[] = [];
    await runs.start({
      id: "a",
      produce: (run) => pipeAnswer(from(...parts), run, { onChunk: (chunk) => seen.push(chunk) }),
    });
    expect((await eventsOf("a")).map(({ type, data }) => [type, data])).toEqual([
      ["reasoning", { content: "thinking" }],
      ["token", { content: "so" }],
      ["tool", { id: "1", name: "f", state: "started" }],
      ["tool", { id: "1", state: "arguments", delta: "{}" }],
      ["tool", { id: "1", name: "f", input: {}, state: "called" }],
      ["tool", { id: "1", output: null, isError: true, state: "result" }],
      ["usage", { inputTokens: 1 }],
      ["done", { finishReason: "stop", usage: { inputTokens: 1 } }],
    ]);
    expect(seen).toContainEqual(expect.objectContaining({ error: new Error("postgres://secret") }));
  });

  test("arguments of calls that are streamed at once stay apart", async () => {
    const delta = (id: string, text: string) => ({ type: "tool-input-delta", id, delta: text });
    const begun = (id: string) => ({ type: "tool-input-start", id, toolName: "f" });
    const end = { type: "finish", finishReason: "stop", totalUsage: {} };
    const parts = [
      begun("a"),
      begun("b"),
      delta("a", "["),
      delta("a", "1"),
      delta("b", "["),
      delta("a", "]"),
      end,
    ];
    await runs.start({ id: "a", produce: (run) => pipeAnswer(from(...parts), run) });
    const pieces = (await eventsOf("a")).filter(
      ({ data }) => (data as { delta?: string }).delta !== undefined,
    );
    expect(pieces.map(({ data }) => data)).toEqual([
      { id: "a", state: "arguments", delta: "[1" },
      { id: "b", state: "arguments", delta: "[" },
      { id: "a", state: "arguments", delta: "]" },
    ]);
  });

  test("what several answers cost adds up", async () => {
    const answer = (inputTokens: number): AnswerStream =>
      from({ type: "finish", finishReason: "stop", totalUsage: { inputTokens } });
    await runs.start({
      id: "a",
      produce: async (run) => {
        const first = await pipeAnswer(answer(2), run);
        const second = await pipeAnswer(answer(3), run);
        expect([first.usage, second.usage]).toEqual([{ inputTokens: 2 }, { inputTokens: 3 }]);
      },
    });
    const events = await eventsOf("a");
    expect(events.at(-1)).toEqual({
      type: "done",
      data: { finishReason: "stop", usage: { inputTokens: 5 } },
    });
  });

  test("a provider that refuses: its code for clients, its own error whole for onError", async () => {
    const url = await serve(async (exchange) => {
      const { status, body } = anthropic.fail("rate");
      exchange.json(status, body, { "retry-after": "3" });
    });
    await runs.start({ id: "a", produce: (run) => pipeAnswer(anthropic.ask(url, run.signal), run) });
    expect(await eventsOf("a")).toEqual([
      {
        type: "error",
        data: { code: "PROVIDER_RATE_LIMIT", message: expect.any(String), retryAfterMs: 3000 },
      },
    ]);
    expect(thrown).toMatchObject([{ status: 429 }]);
  });

  test("an error that is not a provider's stays masked", async () => {
    await runs.start({ id: "a", produce: (run) => pipeAnswer(from(7 as never), run) });
    expect((await eventsOf("a")).at(-1)).toMatchObject({ type: "error", data: { code: "INTERNAL_ERROR" } });
    expect(thrown).toMatchObject([{ code: "UNSUPPORTED_CHUNK" }]);
  });

  test("a stop ends the request at the provider, and keeps what it has cost", async () => {
    const url = await serve(async (exchange) => {
      await anthropic.begin(exchange);
      await exchange.raw(anthropic.textBytes("Once"));
    });
    let ended: unknown;
    await runs.start({
      id: "a",
      produce: (run) =>
        pipeAnswer(anthropic.ask(url), run).catch((error: unknown) => {
          ended = error;
        }),
    });
    const events = hub.events("run:a", { from: "start" });
    for await (const { type } of events) if (type === "token") break;
    await runs.stop("a");
    await server?.exchanges[0]?.closed;
    expect(server?.exchanges[0]?.cut()).toBe(true);
    await eventually(() => expect(ended).toMatchObject({ code: "STREAM_ENDED" }));
    expect((await eventsOf("a")).map(({ type }) => type)).toEqual(["usage", "token", "error"]);
    expect(thrown).toEqual([]);
  });

  test("a stop before the provider has answered at all", async () => {
    const url = await serve(() => new Promise(() => undefined));
    await runs.start({ id: "a", produce: (run) => pipeAnswer(anthropic.ask(url, run.signal), run) });
    await eventually(() => expect(server?.exchanges).toHaveLength(1));
    await runs.stop("a");
    await server?.exchanges[0]?.closed;
    expect((await runs.get("a"))?.state).toBe("stopped");
  });
});

test("a stream that comes after the stop is ended at once", async () => {
  const url = await serve(async (exchange) => {
    await anthropic.begin(exchange);
    await exchange.raw(anthropic.textBytes("Once"));
  });
  let come: (stream: AnswerStream) => void = () => undefined;
  const late = new Promise<AnswerStream>((resolve) => {
    come = resolve;
  });
  await runs.start({ id: "a", produce: (run) => pipeAnswer(late, run) });
  await runs.stop("a");
  come(await anthropic.ask(url));
  await server?.exchanges[0]?.closed;
  expect(server?.exchanges[0]?.cut()).toBe(true);
});

describe("to one client's stream", () => {
  async function answered(answer: AnswerStream | Promise<AnswerStream>): Promise<Sent[]> {
    const response = streamEvents(
      new Request("http://test/"),
      async (stream) => {
        await pipeAnswer(answer, stream);
      },
      { onError: (error) => void thrown.push(error) },
    );
    return read(response);
  }

  test("tokens in the shape that token clients read, and done", async () => {
    expect(await answered(from("Once", " upon"))).toEqual([
      { type: "token", data: { content: "Once" } },
      { type: "token", data: { content: " upon" } },
      { type: "done", data: {} },
    ]);
  });

  test("a provider's failure as an error event, once", async () => {
    const refused = Object.assign(new Error("secret"), { status: 401, requestID: "r" });
    const [event, ...more] = await answered(Promise.reject(refused));
    expect(event).toMatchObject({ type: "error", data: { code: "PROVIDER_AUTH" } });
    expect(more).toEqual([]);
    expect(thrown).toEqual([refused]);
  });

  test("any other failure masked, once", async () => {
    const events = await answered(Promise.reject(new Error("secret")));
    expect(events).toEqual([{ type: "error", data: { code: "INTERNAL_ERROR", message: "Internal error" } }]);
  });
});
