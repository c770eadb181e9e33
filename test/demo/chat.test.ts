import { collectEvents, rawRequest } from "everstream/testing";
import { afterEach, describe, expect, test, vi } from "vitest";
import { DocsAssistant } from "../../demo/server/chat/docs-assistant.ts";
import { type ChatModel, modelFromEnvironment, openAIModel } from "../../demo/server/chat/model.ts";
import { type CompletionsServer, type Exchange, startCompletions } from "../llm/completions-server.ts";
import { type DemoServer, problemOf, serveDemo } from "./serve-demo.ts";

let provider: CompletionsServer | undefined;
let demo: DemoServer | undefined;
afterEach(async () => {
  await demo?.close();
  await provider?.close();
  demo = provider = undefined;
  vi.restoreAllMocks();
});

/** The chat on ChatOpenAI, whose provider answers as `answer` says. */
async function serveChat(answer: (exchange: Exchange) => Promise<void>): Promise<DemoServer> {
  provider = await startCompletions(answer);
  const model = openAIModel({ apiKey: "sk-test", baseURL: provider.baseURL, maxRetries: 0 });
  demo = await serveDemo({ model });
  return demo;
}

const ask = (server: DemoServer, message = "Hello"): Promise<Response> =>
  server.api(`/chat/stream?message=${encodeURIComponent(message)}`);

describe("GET /api/chat/stream with a provider", () => {
  test("streams the answer as tokens, then done", async () => {
    const server = await serveChat(async (exchange) => {
      for (const text of ["Grüß", " Gott", " 👋"]) await exchange.text(text);
      await exchange.finish();
    });
    const events = await collectEvents(await ask(server, "Say hello & <b>smile</b>"));
    expect(events.map(({ event, data }) => [event, data])).toEqual([
      ["token", '{"content":"Grüß"}'],
      ["token", '{"content":" Gott"}'],
      ["token", '{"content":" 👋"}'],
      ["done", ""],
    ]);
    const [exchange] = provider?.exchanges ?? [];
    expect(exchange?.authorization).toBe("Bearer sk-test");
    expect(exchange?.body.model).toBe("gpt-4-turbo");
    expect(exchange?.body.messages).toEqual([{ role: "user", content: "Say hello & <b>smile</b>" }]);
  });

  test("each token leaves when it arrives, not at the end", async () => {
    let goOn: () => void = () => undefined;
    const server = await serveChat(async (exchange) => {
      await exchange.text("first");
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
      await exchange.text("second");
      await exchange.finish();
    });
    const raw = await rawRequest(server, "/api/chat/stream?message=hi");
    await raw.until('{"content":"first"}');
    expect(raw.body).not.toContain("second");
    goOn();
    await raw.until("event: done");
  });

  test("when the browser leaves, the request at the provider ends", async () => {
    const server = await serveChat((exchange) => exchange.text("Once"));
    const raw = await rawRequest(server, "/api/chat/stream?message=hi");
    await raw.until("Once");
    raw.destroy();
    const exchange = provider?.exchanges[0] as Exchange;
    await exchange.closed;
    expect(exchange.cut()).toBe(true);
  });

  test("when the browser leaves before the first token, too", async () => {
    let arrived: (exchange: Exchange) => void = () => undefined;
    const asked = new Promise<Exchange>((resolve) => {
      arrived = resolve;
    });
    const server = await serveChat(async (exchange) => arrived(exchange));
    const raw = await rawRequest(server, "/api/chat/stream?message=hi");
    const exchange = await asked;
    raw.destroy();
    await exchange.closed;
    expect(exchange.cut()).toBe(true);
  });

  test("the environment names the provider's address and the model", async () => {
    provider = await startCompletions((exchange) => exchange.finish());
    const model = modelFromEnvironment({
      OPENAI_API_KEY: "sk-env",
      OPENAI_BASE_URL: provider.baseURL,
      OPENAI_MODEL: "gpt-env",
    });
    demo = await serveDemo({ model });
    await collectEvents(await ask(demo));
    expect(provider.exchanges[0]?.authorization).toBe("Bearer sk-env");
    expect(provider.exchanges[0]?.body.model).toBe("gpt-env");
  });

  test("without a key the docs assistant answers", () => {
    expect(modelFromEnvironment({})).toBeInstanceOf(DocsAssistant);
    expect(modelFromEnvironment({ OPENAI_API_KEY: "" })).toBeInstanceOf(DocsAssistant);
  });

  const refusals: [number, string][] = [
    [401, "PROVIDER_AUTH"],
    [404, "PROVIDER_MODEL"],
    [429, "PROVIDER_BUSY"],
    [500, "PROVIDER_FAILED"],
  ];
  test.each(refusals)("a provider's %i becomes an error event in our own words", async (status, code) => {
    const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const server = await serveChat(async (exchange) => {
      exchange.refuse(status, { message: "key sk-test of org-1 is bad", type: "x", code: null });
    });
    const events = await collectEvents(await ask(server));
    expect(events).toHaveLength(1);
    expect(events[0]?.event).toBe("error");
    expect(JSON.parse(events[0]?.data ?? "")).toEqual({ code, message: expect.any(String) });
    expect(events[0]?.data).not.toContain("org-1");
    expect(log).toHaveBeenCalled();
  });

  test("a connection reset in mid-answer is an error, not an end", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const server = await serveChat(async (exchange) => {
      await exchange.text("Half");
      exchange.reset();
    });
    const events = await collectEvents(await ask(server));
    expect(events.map(({ event }) => event)).toEqual(["token", "error"]);
  });
});

describe("GET /api/chat/stream and what is asked", () => {
  const silent: ChatModel = { stream: () => Promise.reject(new Error("must not be asked")) };

  test.each([["/chat/stream"], ["/chat/stream?message="], ["/chat/stream?message=%20"]])(
    "%s is refused",
    async (path) => {
      demo = await serveDemo({ model: silent });
      expect(await problemOf(await demo.api(path))).toEqual({ status: 400, error: "message required" });
    },
  );

  test("a message of more than 4000 characters is refused", async () => {
    demo = await serveDemo({ model: silent });
    expect(await problemOf(await ask(demo, "x".repeat(4001)))).toEqual({
      status: 400,
      error: "message is longer than 4000 characters",
    });
  });
});
