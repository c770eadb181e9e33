// The reference application on several servers: what it keeps outside the log works on all of them.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { memoryLog } from "everstream";
import { collectEvents, rawRequest } from "everstream/testing";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { GO_ON, openAIModel } from "../../demo/server/chat/model.ts";
import { logFromEnvironment } from "../../demo/server/log.ts";
import { sessionKeyIn } from "../../demo/server/session-key.ts";
import { type CompletionsServer, startCompletions } from "../llm/completions-server.ts";
import { type DemoServer, ownEvents, serveDemo } from "./serve-demo.ts";

const EVENTS = { headers: { Accept: "text/event-stream" } };
const CONVERSATION = "conversation-1";

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), "everstream-demo-"));
});
afterEach(() => rm(dataDir, { recursive: true, force: true }));

describe("on two servers", () => {
  let provider: CompletionsServer;
  let a: DemoServer;
  let b: DemoServer;
  beforeEach(async () => {
    provider = await startCompletions(async (exchange) => {
      if (exchange.body.messages.length > 1 || provider.exchanges.length > 1) {
        await exchange.text(" and the second");
        await exchange.finish();
      } else await exchange.text("The first half");
    });
    const log = { log: memoryLog(), shared: true };
    const model = openAIModel({ apiKey: "sk-test", baseURL: provider.baseURL, maxRetries: 0 });
    [a, b] = (await Promise.all(["a", "b"].map((node) => serveDemo({ log, model, dataDir, node })))) as [
      DemoServer,
      DemoServer,
    ];
  });
  afterEach(async () => {
    await a.close();
    await b.close();
    await provider.close();
  });

  test("each says which one answers, streams too", async () => {
    expect((await a.api("/healthz")).headers.get("x-node")).toBe("a");
    const raw = await rawRequest(b, "/api/events", EVENTS);
    expect(raw.headers["x-node"]).toBe("b");
    await raw.until("data: ");
    raw.destroy();
  });

  test("who has signed in on one is known on the other, and gets what is sent there", async () => {
    const cookie = await a.signIn("ada");
    const raw = await rawRequest(b, "/api/notifications", { headers: { ...EVENTS.headers, cookie } });
    await raw.until("sse:live");
    const notification = { type: "alert", payload: { text: "from a" } };
    expect((await a.post("/notifications", notification, { cookie })).status).toBe(201);
    await raw.until("from a");
    raw.destroy();
  });

  test("a file that one has received is processed by the other", async () => {
    const form = new FormData();
    form.set("file", new Blob(["Some text"], { type: "text/plain" }), "text.txt");
    const { fileId } = (await (await a.api("/upload", { method: "POST", body: form })).json()) as {
      fileId: string;
    };
    const events = ownEvents(await collectEvents(await b.post("/upload/process", { fileId })));
    expect(events.at(-1)?.event).toBe("done");
  });

  test("an answer whose server leaves goes on on the other, and is remembered and listed as a whole", async () => {
    const accept = { accept: "application/json" };
    await a.post("/runs/r1", { conversation: CONVERSATION, message: "A story" }, accept);
    const raw = await rawRequest(b, "/api/runs/r1", EVENTS);
    await raw.until("The first half");
    await a.close();
    await raw.until("event: done");
    const tokens = raw.events.filter(({ event }) => event === "token");
    expect(tokens.map(({ data }) => (JSON.parse(data) as { content: string }).content).join("")).toBe(
      "The first half and the second",
    );
    expect(provider.exchanges[1]?.body.messages).toEqual([
      { role: "user", content: "A story" },
      { role: "assistant", content: "The first half" },
      { role: "user", content: GO_ON },
    ]);
    const list = await rawRequest(b, "/api/runs", EVENTS);
    await list.until('"done"');
    const states = list.events
      .filter(({ event }) => event === "run")
      .map(({ data }) => JSON.parse(data).state);
    expect(states).toEqual(["running", "done"]);
    await b.post("/runs/r2", { conversation: CONVERSATION, message: "Another" }, accept);
    await expect.poll(() => provider.exchanges.length).toBe(3);
    expect(provider.exchanges[2]?.body.messages).toEqual([
      { role: "user", content: "A story" },
      { role: "assistant", content: "The first half and the second" },
      { role: "user", content: "Another" },
    ]);
    list.destroy();
  });
});

test("servers that begin at once in one folder sign with the same key", () => {
  const keys = Array.from({ length: 3 }, () => sessionKeyIn(dataDir));
  expect(new Set(keys).size).toBe(1);
  expect(keys[0]?.length).toBeGreaterThan(40);
});

describe("LOG", () => {
  test.each([
    [undefined, false],
    ["", false],
    ["memory:", false],
    ["lmdb:/tmp/somewhere", false],
    ["redis://127.0.0.1:6379", true],
    ["rediss://user:word@example.com/2", true],
    ["nats://a:4222,nats://b:4222", true],
  ])("may be %j", (value, shared) => {
    expect(logFromEnvironment(value, dataDir).shared).toBe(shared);
  });

  test.each(["kafka://user:secret@host", "redis", "memory:x", "lmdb:", "redis:", "nats://a,b"])(
    "can't be %j, and says what can",
    (value) => {
      let message = "";
      try {
        logFromEnvironment(value, dataDir);
      } catch (error) {
        message = (error as Error).message;
      }
      expect(message).toMatch(/redis:\/\/host:port or nats:\/\/host:port .* lmdb:<folder>, memory:/);
      expect(message).not.toContain("secret");
    },
  );
});
