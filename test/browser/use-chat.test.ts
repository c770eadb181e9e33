// The AI SDK's own `useChat`, in a real browser, over runs that providers' real SDKs feed.
import type { Run } from "everstream";
import { type AnswerStream, pipeAnswer } from "everstream/llm";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from "vitest";
import { type CompletionsServer, type Exchange, startCompletions } from "../llm/completions-server.ts";
import { PROVIDERS, type Provider } from "../llm/providers.ts";
import { type ChatServer, startChat } from "./chat-server.ts";
import { launchChromium } from "./chromium.ts";
import { bundle } from "./page-server.ts";
import type {} from "./pages/use-chat.ts";

const anthropic = PROVIDERS.find(({ name }) => name.startsWith("Anthropic")) as Provider;

let browser: Browser;
let script: string;

beforeAll(async () => {
  [browser, script] = await Promise.all([launchChromium(), bundle("use-chat.ts")]);
});
afterAll(() => browser.close());

interface Opened {
  readonly page: Page;
  readonly server: ChatServer;
  readonly provider: CompletionsServer;
}

/** The provider's server, which `answer` plays, and a page whose chat asks it. */
async function open(
  answer: (exchange: Exchange, index: number) => Promise<void>,
  produce?: (run: Run, ask: () => AnswerStream | PromiseLike<AnswerStream>) => unknown,
): Promise<Opened> {
  let count = 0;
  const provider = await startCompletions((exchange) => answer(exchange, count++));
  onTestFinished(() => provider.close());
  const server = await startChat(script, (run) => {
    const ask = () => anthropic.ask(provider.baseURL, run.signal);
    return produce === undefined ? pipeAnswer(ask(), run) : produce(run, ask);
  });
  const context = await browser.newContext();
  onTestFinished(() => context.close());
  const page = await context.newPage();
  await page.goto(server.url);
  await status(page, "ready");
  return { page, server, provider };
}

async function status(page: Page, expected: string): Promise<void> {
  await expect.poll(() => page.evaluate(() => globalThis.chat?.status).catch(() => undefined)).toBe(expected);
}

function send(page: Page): Promise<void> {
  return page.evaluate(() => chat.send("What is the weather?"));
}

/** The text of the last message. */
function lastText(page: Page): Promise<string> {
  return page
    .evaluate(() =>
      (chat.messages.at(-1)?.parts ?? []).map((part) => (part.type === "text" ? part.text : "")).join(""),
    )
    .catch(() => "");
}

async function shows(page: Page, text: string): Promise<void> {
  await expect.poll(() => lastText(page)).toBe(text);
}

/** A promise to be settled by hand. */
function gate(): { readonly opened: Promise<void>; open: () => void } {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

test("reasoning, a tool's call and result, text, and what it has cost", async () => {
  const { page } = await open(
    async (exchange, index) => {
      await anthropic.begin(exchange);
      if (index === 0) {
        await anthropic.reasoning?.(exchange, "I need the weather.");
        await anthropic.tool(exchange, ['{"city":', '"Bern"}']);
        await anthropic.end(exchange, "tool-calls");
      } else {
        await exchange.raw(anthropic.textBytes("It is sunny ☀️ "));
        await exchange.raw(anthropic.textBytes("in Bern."));
        await anthropic.end(exchange, "stop");
      }
    },
    async (run, ask) => {
      const { toolCalls } = await pipeAnswer(ask(), run);
      for (const { id } of toolCalls)
        await run.send("tool", { id, state: "result", output: { sky: "clear" } });
      await pipeAnswer(ask(), run);
    },
  );
  await send(page);
  await shows(page, "It is sunny ☀️ in Bern.");
  await status(page, "ready");
  const message = await page.evaluate(() => chat.messages.at(-1));
  expect(message?.parts).toMatchObject([
    { type: "step-start" },
    { type: "reasoning", text: "I need the weather.", state: "done" },
    {
      type: "tool-weather",
      toolCallId: "call-1",
      state: "output-available",
      input: { city: "Bern" },
      output: { sky: "clear" },
    },
    { type: "step-start" },
    { type: "text", text: "It is sunny ☀️ in Bern.", state: "done" },
  ]);
  expect(message?.metadata).toEqual({
    usage: { inputTokens: 20, outputTokens: 10, cachedInputTokens: 8 },
  });
});

test("a reload in mid-answer: the whole message again, and then the rest of it, from one request", async () => {
  const rest = gate();
  const { page, provider, server } = await open(async (exchange) => {
    await anthropic.begin(exchange);
    await exchange.raw(anthropic.textBytes("Once upon"));
    await rest.opened;
    await exchange.raw(anthropic.textBytes(" a time"));
    await anthropic.end(exchange, "stop");
  });
  await send(page);
  await shows(page, "Once upon");
  const before = await page.evaluate(() => chat.messages.map(({ id }) => id));
  await page.reload();
  await shows(page, "Once upon");
  await status(page, "streaming");
  expect(await page.evaluate(() => chat.messages.map(({ id }) => id))).toEqual(before);
  rest.open();
  await shows(page, "Once upon a time");
  await status(page, "ready");
  expect(await page.evaluate(() => chat.messages.length)).toBe(2);
  expect(provider.exchanges).toHaveLength(1);
  // Nothing is left to resume.
  await page.reload();
  await expect.poll(() => server.resumed.at(-1)).toBe(204);
  await status(page, "ready");
});

test("stop: the provider's request ends, and the message stays as far as it got", async () => {
  const { page, provider } = await open(async (exchange) => {
    await anthropic.begin(exchange);
    await exchange.raw(anthropic.textBytes("Once upon"));
  });
  await send(page);
  await shows(page, "Once upon");
  await page.evaluate(() => chat.stop());
  await status(page, "ready");
  await provider.exchanges[0]?.closed;
  expect(provider.exchanges[0]?.cut()).toBe(true);
  expect(await lastText(page)).toBe("Once upon");
  expect(await page.evaluate(() => chat.error)).toBeUndefined();
});

test("a provider that refuses shows as an error in words of ours", async () => {
  const { page } = await open(async (exchange) => {
    const { status: code, body } = anthropic.fail("overloaded");
    exchange.json(code, body);
  });
  await send(page);
  await status(page, "error");
  expect(await page.evaluate(() => chat.error)).toBe("The model is overloaded. Try again later.");
});

test.each([
  ["a reload", "", (page: Page) => page.reload()],
  ["a chat of one's own", "?own", (page: Page) => page.evaluate(() => chat.resume())],
])("a connection that is cut in mid-answer is no end, and %s brings all of it", async (_, query, resume) => {
  // The server's own report of the connection that it broke off.
  const reported = vi.spyOn(console, "error").mockImplementation(() => undefined);
  onTestFinished(() => reported.mockRestore());
  const rest = gate();
  const { page, server } = await open(async (exchange) => {
    await anthropic.begin(exchange);
    await exchange.raw(anthropic.textBytes("Once upon"));
    await rest.opened;
    await exchange.raw(anthropic.textBytes(" a time"));
    await anthropic.end(exchange, "stop");
  });
  await page.goto(server.url + query);
  await status(page, "ready");
  await send(page);
  await shows(page, "Once upon");
  server.hub.disconnect(() => true);
  await status(page, "error");
  await resume(page);
  await status(page, "streaming");
  rest.open();
  await shows(page, "Once upon a time");
  await status(page, "ready");
  expect(await page.evaluate(() => chat.messages.length)).toBe(2);
});
