// What docs/providers.md says of its examples, seen in them, with the providers' real SDKs on a loopback server.
import { afterEach, expect, it, vi } from "vitest";
import { type CompletionsServer, type Exchange, startCompletions } from "../llm/completions-server.ts";
import { PROVIDERS, type Provider } from "../llm/providers.ts";
import { eventually } from "../session/eventually.ts";
import { runExample } from "../setup/doc-example.ts";

const page = "docs/providers.md";
const responses = PROVIDERS.find(({ name }) => name === "OpenAI's SDK, responses") as Provider;

let provider: CompletionsServer | undefined;
afterEach(async () => {
  vi.unstubAllEnvs();
  await provider?.close();
  provider = undefined;
});

/** The provider that the examples ask, as SDKs are told of one. */
async function provide(answer: (exchange: Exchange) => Promise<void>): Promise<void> {
  provider = await startCompletions(answer);
  vi.stubEnv("OPENAI_API_KEY", "key");
  vi.stubEnv("OPENAI_BASE_URL", provider.baseURL);
}

async function answerInTwo(exchange: Exchange): Promise<void> {
  await responses.begin(exchange);
  await exchange.raw(responses.textBytes("Once upon"));
  await exchange.raw(responses.textBytes(" a time"));
  await responses.end(exchange, "stop");
}

it("opens with a server that answers by a run, with text, usage and a reason", async () => {
  await provide(answerInTwo);
  const { urls } = await runExample(page);
  const response = await fetch(`${urls[0]}/runs`, {
    method: "POST",
    headers: { Accept: "text/event-stream" },
    body: JSON.stringify({ question: "A story" }),
  });
  const text = await response.text();
  expect(text).toContain('event: token\ndata: {"content":"Once upon');
  expect(text).toContain('"finishReason":"stop"');
  expect(text).toContain('"inputTokens":10');
});

it("serves useChat: the message, nothing to resume after it, and a stop that reaches the provider", async () => {
  let hold = false;
  await provide(async (exchange) => {
    if (!hold) return answerInTwo(exchange);
    await responses.begin(exchange);
    await exchange.raw(responses.textBytes("Once upon"));
  });
  const { urls } = await runExample(page, { below: "useChat" });
  const ask = () =>
    fetch(`${urls[0]}/api/chat`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({
        id: "c1",
        messages: [{ id: "m", role: "user", parts: [{ type: "text", text: "A story" }] }],
      }),
    });
  const whole = await ask();
  expect(whole.headers.get("x-vercel-ai-ui-message-stream")).toBe("v1");
  const text = await whole.text();
  expect(text).toContain('"type":"text-delta","id":"text-1","delta":"Once upon');
  expect(text.endsWith("data: [DONE]\n\n")).toBe(true);
  expect((await fetch(`${urls[0]}/api/chat/c1/stream`)).status).toBe(204);
  hold = true;
  const stopped = await ask();
  await eventually(() => expect(provider?.exchanges).toHaveLength(2));
  const joined = await fetch(`${urls[0]}/api/chat/c1/stream`);
  expect(joined.status).toBe(200);
  await fetch(`${urls[0]}/api/chat/c1`, { method: "DELETE" });
  expect(await stopped.text()).toContain('"type":"abort"');
  expect(await joined.text()).toContain('"type":"abort"');
  await provider?.exchanges[1]?.closed;
  expect(provider?.exchanges[1]?.cut()).toBe(true);
});
