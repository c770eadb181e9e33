import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHub } from "everstream";
import { lmdbLog } from "everstream/lmdb";
import { collectEvents, rawRequest } from "everstream/testing";
import { afterEach, describe, expect, onTestFinished, test } from "vitest";
import { createConversations } from "../../demo/server/chat/conversations.ts";
import { DocsAssistant } from "../../demo/server/chat/docs-assistant.ts";
import { GO_ON, openAIModel } from "../../demo/server/chat/model.ts";
import { type CompletionsServer, type Exchange, startCompletions } from "../llm/completions-server.ts";
import { type DemoServer, ownEvents, problemOf, serveDemo } from "./serve-demo.ts";

const CONVERSATION = "conversation-1";
const EVENTS = { headers: { Accept: "text/event-stream" } };

let provider: CompletionsServer | undefined;
let demo: DemoServer;
afterEach(async () => {
  await demo.close();
  await provider?.close();
  provider = undefined;
});

async function serveChat(answer: (exchange: Exchange) => Promise<void>, dataDir?: string): Promise<void> {
  provider = await startCompletions(answer);
  const model = openAIModel({ apiKey: "sk-test", baseURL: provider.baseURL, maxRetries: 0 });
  demo = await serveDemo({ model, ...(dataDir !== undefined && { dataDir }) });
}

async function ask(run: string, message: string, more: Record<string, unknown> = {}): Promise<Response> {
  return demo.post(
    `/runs/${run}`,
    { conversation: CONVERSATION, message, ...more },
    { accept: "application/json" },
  );
}

/** All that a run has said, to its end. */
async function read(run: string): Promise<{ text: string; last: string | undefined }> {
  const events = ownEvents(await collectEvents(await demo.api(`/runs/${run}`, EVENTS)));
  const tokens = events.filter(({ event }) => event === "token");
  const text = tokens.map(({ data }) => (JSON.parse(data) as { content: string }).content).join("");
  return { text, last: events.at(-1)?.event };
}

const messagesAt = (index: number): unknown => provider?.exchanges[index]?.body.messages;

describe("answers", () => {
  test("are runs: asked for once, read by anybody who has the id, to the end", async () => {
    await serveChat(async (exchange) => {
      for (const text of ["Hello", " there"]) await exchange.text(text);
      await exchange.finish();
    });
    expect((await ask("r1", "Hi")).status).toBe(201);
    expect(await read("r1")).toEqual({ text: "Hello there", last: "done" });
    expect((await ask("r1", "Hi")).status).toBe(200);
    expect(provider?.exchanges).toHaveLength(1);
  });

  test("know what was said before in their conversation, and nothing of what was replaced", async () => {
    await serveChat(async (exchange) => {
      await exchange.text(`answer ${provider?.exchanges.length}`);
      await exchange.finish();
    });
    for (const [run, message, more] of [
      ["r1", "first", {}],
      ["r2", "second", {}],
      ["r3", "second", { replaces: "r2" }],
      ["r4", "third", {}],
    ] as const) {
      await ask(run, message, more);
      await read(run);
    }
    const said = (...texts: string[]) =>
      texts.map((content, index) => ({ role: index % 2 === 0 ? "user" : "assistant", content }));
    expect(messagesAt(2)).toEqual(said("first", "answer 1", "second"));
    expect(messagesAt(3)).toEqual(said("first", "answer 1", "second", "answer 3", "third"));
  });

  test("asked for again, since the server died between question and run, are asked with it once", async () => {
    const dataDir = await mkdtemp(join(tmpdir(), "everstream-demo-"));
    onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
    const before = createHub({ log: lmdbLog({ path: join(dataDir, "events") }) });
    await createConversations(before).ask(CONVERSATION, { run: "r1", question: "Hi" });
    await before.close();
    await serveChat((exchange) => exchange.finish(), dataDir);
    expect((await ask("r1", "Hi")).status).toBe(201);
    expect(await read("r1")).toMatchObject({ last: "done" });
    expect(messagesAt(0)).toEqual([{ role: "user", content: "Hi" }]);
  });

  test("go on with nothing but what their own conversation has asked", async () => {
    await serveChat(async (exchange) => {
      await exchange.text("secret");
      await exchange.finish();
    });
    await demo.post("/runs/other", { conversation: "conversation-2", message: "theirs" });
    await read("other");
    for (const [run, replaces] of [
      ["r1", "other"],
      ["r2", "x".repeat(400)],
      ["r3", "a b"],
    ] as const) {
      expect((await ask(run, "mine", { replaces, goOn: true })).status).toBe(201);
      await read(run);
    }
    expect(JSON.stringify(messagesAt(1))).not.toContain("secret");
    const { events } = (await (
      await demo.api(`/chat/${CONVERSATION}`, { headers: { accept: "application/json" } })
    ).json()) as { events: { type: string; data: object }[] };
    const asked = events.filter(({ type }) => type === "asked");
    expect(asked.map(({ data }) => data)).toEqual(
      ["r1", "r2", "r3"].map((run) => ({ run, question: "mine" })),
    );
  });

  test("are told of by the conversation, from its start", async () => {
    await serveChat((exchange) => exchange.finish());
    await ask("r1", "first");
    await read("r1");
    await ask("r2", "first", { replaces: "r1" });
    const raw = await rawRequest(demo, `/api/chat/${CONVERSATION}`, EVENTS);
    await raw.until('"r2"');
    const asked = raw.events
      .filter(({ event }) => event === "asked")
      .map(({ data }) => JSON.parse(data) as unknown);
    expect(asked).toEqual([
      { run: "r1", question: "first" },
      { run: "r2", question: "first", replaces: "r1" },
    ]);
    raw.destroy();
  });

  test("are told of as JSON, too, with the position from which the stream goes on", async () => {
    await serveChat((exchange) => exchange.finish());
    await ask("r1", "first");
    await read("r1");
    const path = `/chat/${CONVERSATION}`;
    const known = await demo.api(path, { headers: { accept: "application/json" } });
    const { events, position } = (await known.json()) as { events: unknown[]; position: string };
    expect(events[0]).toEqual({ type: "asked", data: { run: "r1", question: "first" } });
    await ask("r2", "second");
    const headers = { ...EVENTS.headers, "Last-Event-ID": position };
    const raw = await rawRequest(demo, `/api${path}`, { headers });
    await raw.until('"r2"');
    const asked = raw.events.filter(({ event }) => event === "asked");
    expect(asked.map(({ data }) => JSON.parse(data) as unknown)).toEqual([{ run: "r2", question: "second" }]);
    raw.destroy();
  });

  test("go on without a reader, and stop when told to, at the provider too", async () => {
    await serveChat((exchange) => exchange.text("Once upon"));
    await ask("r1", "A story");
    const raw = await rawRequest(demo, "/api/runs/r1", EVENTS);
    await raw.until("Once upon");
    raw.destroy();
    const exchange = provider?.exchanges[0] as Exchange;
    expect(exchange.cut()).toBe(false);
    expect((await demo.api("/runs/r1", { method: "DELETE" })).status).toBe(204);
    await exchange.closed;
    expect(await read("r1")).toEqual({ text: "Once upon", last: "error" });
  });

  test("give way to the next question of the same conversation", async () => {
    await serveChat(async (exchange) => {
      await exchange.text("text");
      if (provider?.exchanges.length === 2) await exchange.finish();
    });
    await ask("r1", "first");
    const raw = await rawRequest(demo, "/api/runs/r1", EVENTS);
    await raw.until("text");
    await ask("r2", "second");
    await raw.until('"stopped"');
    expect(await read("r2")).toEqual({ text: "text", last: "done" });
  });

  test.each([
    [{}, /conversation must be/],
    [{ conversation: CONVERSATION }, /message required/],
    [{ conversation: CONVERSATION, message: "x".repeat(4001) }, /longer than 4000/],
  ])("need what they are to answer: %j", async (body, error) => {
    await serveChat((exchange) => exchange.finish());
    const refused = await problemOf(await demo.post("/runs/r1", body));
    expect(refused.status).toBe(400);
    expect(refused.error).toMatch(error);
  });

  test("go on where a server that is gone has left them", async () => {
    await serveChat(async (exchange) => {
      await exchange.text(provider?.exchanges.length === 1 ? "The first half" : " and the second");
      if (provider?.exchanges.length === 2) await exchange.finish();
    });
    await ask("r1", "A story");
    const raw = await rawRequest(demo, "/api/runs/r1", EVENTS);
    await raw.until("The first half");
    raw.destroy();
    await demo.api("/runs/r1", { method: "DELETE" });
    await ask("r2", "A story", { replaces: "r1", goOn: true });
    expect(await read("r2")).toEqual({ text: "The first half and the second", last: "done" });
    expect(messagesAt(1)).toEqual([
      { role: "user", content: "A story" },
      { role: "assistant", content: "The first half" },
      { role: "user", content: GO_ON },
    ]);
  });

  test("the docs assistant goes on with the very words that are missing", async () => {
    demo = await serveDemo();
    const assistant = new DocsAssistant({ passages: async () => [], tokenMs: 0 });
    const whole = (await assistant.invoke("What is a hub?")).text;
    const half = whole.slice(0, 40);
    const rest = await assistant.invoke([
      ["human", "What is a hub?"],
      ["ai", half],
      ["human", GO_ON],
    ]);
    expect(half + rest.text).toBe(whole);
  });
});

describe("GET /api/runs", () => {
  test("lists what the server works at, without a way to it", async () => {
    await serveChat(async (exchange) => {
      await exchange.text("secret words");
      await exchange.finish();
    });
    await ask("secret-id", "secret question");
    await read("secret-id");
    const raw = await rawRequest(demo, "/api/runs", EVENTS);
    await raw.until('"done"');
    const seen = raw.events
      .filter(({ event }) => event === "run")
      .map(({ data }) => JSON.parse(data) as object);
    expect(seen).toEqual([
      { label: expect.stringMatching(/^[0-9a-f]{6}$/), kind: "answer", state: "running" },
      { label: expect.any(String), kind: "answer", state: "done" },
    ]);
    expect(raw.body).not.toContain("secret");
    raw.destroy();
  });
});
