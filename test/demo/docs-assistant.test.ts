import { textOf } from "everstream/llm";
import { collectEvents } from "everstream/testing";
import { afterEach, describe, expect, test } from "vitest";
import { DocsAssistant } from "../../demo/server/chat/docs-assistant.ts";
import { type Passage, readPassages, splitDocument } from "../../demo/server/chat/passages.ts";
import { createIndex } from "../../demo/server/chat/search.ts";
import { type DemoServer, serveDemo } from "./serve-demo.ts";

const MANUAL = `# Manual

Welcome.

## Heartbeats

A comment every 15 seconds keeps proxies from closing idle connections.

\`\`\`ts
# not a heading
streamSSE(c, run);
\`\`\`

## Resuming

A client that reconnects sends the last event ID it saw, and gets every event that it missed.

### Gaps

Where events were trimmed, the client is told so by an \`sse:gap\` event.
`;

const passages = splitDocument("docs/manual.md", MANUAL);
const assistant = (tokenMs = 0): DocsAssistant =>
  new DocsAssistant({ passages: async () => passages, tokenMs });

let demo: DemoServer | undefined;
afterEach(async () => {
  await demo?.close();
  demo = undefined;
});

async function answer(question: string, model = assistant()): Promise<string> {
  let text = "";
  for await (const piece of textOf(await model.stream(question))) text += piece;
  return text;
}

describe("cutting documents", () => {
  test("a passage is a section, with all headings above it", () => {
    expect(passages.map(({ headings }) => headings)).toEqual([
      ["Manual"],
      ["Manual", "Heartbeats"],
      ["Manual", "Resuming"],
      ["Manual", "Resuming", "Gaps"],
    ]);
  });

  test("code stays whole, and what looks like a heading in it is none", () => {
    expect(passages[1]?.text).toContain("```ts\n# not a heading\nstreamSSE(c, run);\n```");
  });

  test("a long section is cut between paragraphs, a long table between rows", () => {
    const paragraph = "word ".repeat(100).trim();
    const cut = splitDocument("a.md", `# A\n\n${[paragraph, paragraph, paragraph].join("\n\n")}`);
    expect(cut.map(({ text }) => text.split("\n\n").length)).toEqual([2, 1]);
    const rows = Array.from({ length: 60 }, (_, at) => `| row ${at} | ${"x".repeat(40)} |`);
    const tables = splitDocument("b.md", `# B\n\n| a | b |\n| --- | --- |\n${rows.join("\n")}`);
    expect(tables.length).toBeGreaterThan(1);
    for (const { text } of tables) expect(text.startsWith("| a | b |\n| --- | --- |\n| row")).toBe(true);
    expect(tables.flatMap(({ text }) => text.split("\n").slice(2))).toEqual(rows);
  });
});

describe("finding", () => {
  const best = (question: string): Passage | undefined => createIndex(passages).search(question)[0]?.passage;

  test.each([
    ["What are heartbeats for?", "Heartbeats"],
    ["how does a client reconnect", "Resuming"],
    ["what happens to trimmed events?", "Gaps"],
    ["streamSSE", "Heartbeats"],
  ])("%s → %s", (question, heading) => {
    expect(best(question)?.headings.at(-1)).toBe(heading);
  });

  test("nothing for words that are nowhere", () => {
    expect(createIndex(passages).search("quantum chromodynamics")).toEqual([]);
    expect(createIndex([]).search("heartbeat")).toEqual([]);
  });
});

describe("answering", () => {
  test("says what it is, and quotes the passage with its place", async () => {
    const text = await answer("What is the heartbeat for?");
    expect(text).toMatch(/^I am the built-in docs assistant, no language model/);
    expect(text).toContain("**docs/manual.md › Heartbeats**");
    expect(text).toContain("A comment every 15 seconds keeps proxies from closing idle connections.");
  });

  test("says so when it finds nothing, and what there is", async () => {
    const text = await answer("Hello! How are you?");
    expect(text).toMatch(/found nothing about that/);
    expect(text).toContain('"Heartbeats"');
  });

  test("is a LangChain model: invoke gives the same text as stream", async () => {
    const message = await assistant().invoke("heartbeat");
    expect(message.text).toBe(await answer("heartbeat"));
  });

  test("an abort ends it while it waits for its next token", async () => {
    const controller = new AbortController();
    const stream = assistant(60_000).stream("heartbeat", { signal: controller.signal });
    controller.abort(new Error("left"));
    await expect(stream).rejects.toThrow();
  });

  test("a failure to read the documents is not kept", async () => {
    let failures = 1;
    const model = new DocsAssistant({
      tokenMs: 0,
      passages: async () => {
        if (failures-- > 0) throw new Error("disk");
        return passages;
      },
    });
    await expect(answer("heartbeat", model)).rejects.toThrow("disk");
    expect(await answer("heartbeat", model)).toContain("Heartbeats");
  });

  test("reads the project's own documents", async () => {
    const documents = new Set((await readPassages()).map(({ document }) => document));
    expect(documents).toContain("README.md");
  });

  test("answers in the chat where no model is set, token by token; a question is text and never HTML", async () => {
    demo = await serveDemo({ model: assistant() });
    const question = encodeURIComponent('<img src=x onerror="alert(1)"> heartbeat');
    const events = await collectEvents(await demo.api(`/chat/stream?message=${question}`));
    expect(events.at(-1)?.event).toBe("done");
    const tokens = events.slice(0, -1).map(({ data }) => (JSON.parse(data) as { content: string }).content);
    expect(tokens.length).toBeGreaterThan(10);
    expect(tokens.join("")).toContain("Heartbeats");
    expect(tokens.join("")).not.toContain("onerror");
  });
});
