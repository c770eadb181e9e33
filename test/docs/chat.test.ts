// What docs/chat.md promises, seen in its server and its page, with the provider's real SDK on a loopback server.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Hub } from "everstream";
import type { FollowedRun } from "everstream/client";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { type CompletionsServer, type Exchange, startCompletions } from "../llm/completions-server.ts";
import { PROVIDERS, type Provider } from "../llm/providers.ts";
import { gate } from "../runs/nodes.ts";
import { eventually } from "../session/eventually.ts";
import { runExample } from "../setup/doc-example.ts";
import { codeBlocks } from "../setup/markdown.ts";
import { readText } from "../setup/repository.ts";

const page = "docs/chat.md";
const { fetch, Request } = globalThis;
const responses = PROVIDERS.find(({ name }) => name === "OpenAI's SDK, responses") as Provider;

let folder = "";
let provider: CompletionsServer;
let hub: Hub;
let stored: Map<string, string>;
let rest = gate();
/** The pages that are open. */
let pages: { run: FollowedRun | undefined }[] = [];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "everstream-chat-"));
  stored = new Map();
  pages = [];
  rest = gate();
  provider = await startCompletions(async (exchange: Exchange) => {
    await responses.begin(exchange);
    await exchange.raw(responses.textBytes("Once upon"));
    await rest.promise;
    await exchange.raw(responses.textBytes(" a time"));
    await responses.end(exchange, "stop");
  });
  vi.stubEnv("OPENAI_API_KEY", "key");
  vi.stubEnv("OPENAI_BASE_URL", provider.baseURL);
  vi.stubEnv("DATA_DIR", folder);
  const { values, urls } = await runExample(page, { wanted: ["hub"] });
  hub = values.hub as Hub;
  // Pages have relative URLs, which Node knows nothing of.
  const absolute = (url: RequestInfo | URL) => (typeof url === "string" ? new URL(url, urls[0]) : url);
  vi.stubGlobal("fetch", (url: RequestInfo | URL, init?: RequestInit) => fetch(absolute(url), init));
  class PageRequest extends Request {
    constructor(url: RequestInfo | URL, init?: RequestInit) {
      super(absolute(url), init);
    }
  }
  vi.stubGlobal("Request", PageRequest);
});

afterEach(async () => {
  for (const { run } of pages) run?.close();
  await hub.close();
  await provider.close();
  vi.unstubAllEnvs();
  vi.unstubAllGlobals();
  await rm(folder, { recursive: true });
});

/** The page of the document, opened anew: what it shows, its buttons, and the run that it follows. */
async function openPage() {
  const elements = {
    question: { value: "A story" },
    answer: { textContent: "" },
    askButton: { onclick: () => undefined },
    stopButton: { onclick: () => undefined },
  };
  const localStorage = {
    getItem: (key: string) => stored.get(key) ?? null,
    setItem: (key: string, value: string) => void stored.set(key, value),
  };
  const declared = { ...elements, localStorage };
  const { values } = await runExample(page, { declared, wanted: ["run"], below: "The page" });
  const opened = values as { run: FollowedRun | undefined };
  pages.push(opened);
  return { ...elements, opened };
}

const textOf = ({ opened }: Awaited<ReturnType<typeof openPage>>) => opened.run?.snapshot.text;

it("has forty lines at the most", () => {
  const [server, client] = codeBlocks(readText(page)).map(({ code }) => code.split("\n"));
  const lines = [...(server ?? []), ...(client ?? [])].filter((line) => line.trim() !== "");
  expect(lines.length).toBeLessThanOrEqual(40);
});

it("goes on after a reload in mid-answer and in a second tab, and asks the provider once", async () => {
  const first = await openPage();
  first.askButton.onclick();
  await eventually(() => expect(first.answer.textContent).toBe("Once upon"));
  first.opened.run?.close();
  const [reloaded, second] = [await openPage(), await openPage()];
  await eventually(() => expect([textOf(reloaded), textOf(second)]).toEqual(["Once upon", "Once upon"]));
  rest.open();
  for (const { opened } of [reloaded, second]) {
    expect(await opened.run?.finished).toMatchObject({ state: "done", text: "Once upon a time" });
  }
  await eventually(() => expect(second.answer.textContent).toBe("Once upon a time"));
  expect(provider.exchanges).toHaveLength(1);
});

it("is stopped for all tabs, with the text so far, and the provider's request ends", async () => {
  const first = await openPage();
  first.askButton.onclick();
  await eventually(() => expect(textOf(first)).toBe("Once upon"));
  const second = await openPage();
  await eventually(() => expect(textOf(second)).toBe("Once upon"));
  second.stopButton.onclick();
  for (const { opened } of [first, second]) {
    expect(await opened.run?.finished).toMatchObject({ state: "stopped", text: "Once upon" });
  }
  expect(second.answer.textContent).toMatch(/^Once upon \(.+\)$/);
  await provider.exchanges[0]?.closed;
  expect(provider.exchanges[0]?.cut()).toBe(true);
});

it("refuses a second answer in the same chat while the first is written", async () => {
  const first = await openPage();
  first.askButton.onclick();
  await eventually(() => expect(textOf(first)).toBe("Once upon"));
  const second = await openPage();
  second.askButton.onclick();
  expect(await second.opened.run?.finished).toMatchObject({ state: "lost", error: { code: "RUN_BUSY" } });
  rest.open();
  expect(await first.opened.run?.finished).toMatchObject({ state: "done", text: "Once upon a time" });
});
