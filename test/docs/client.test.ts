// What docs/client.md shows, but for the hooks, run as it stands against a server that is found at its relative URLs.
import { createHub, createRuns } from "everstream";
import type { EventSource, EventStream, TokenStream } from "everstream/client";
import { type FaultServer, type FaultyAnswer, faultServer, serveForTest } from "everstream/testing";
import { expect, it, onTestFinished } from "vitest";
import { eventually } from "../session/eventually.ts";
import { type ExampleOptions, type RunExample, runExample } from "../setup/doc-example.ts";
import { browserAt } from "./page-globals.ts";

/** Runs a block of the page, and closes what it opens. */
async function runBlock(
  base: string,
  options: ExampleOptions,
  more: Record<string, unknown> = {},
): Promise<RunExample & { lines: unknown[][] }> {
  const { declared, lines } = browserAt(base);
  const run = await runExample("docs/client.md", { ...options, declared: { ...declared, ...more } });
  for (const value of Object.values(run.values)) {
    onTestFinished(() => (value as EventStream | EventSource | TokenStream).close());
  }
  return { ...run, lines };
}

async function serve(...answers: [FaultyAnswer, ...FaultyAnswer[]]): Promise<FaultServer> {
  const server = await faultServer(answers);
  onTestFinished(() => server.close());
  return server;
}

/** A page's body, which only takes text. */
function pageOf(): { document: { body: { append(text: string): void } }; text: () => string } {
  let all = "";
  const append = (text: string): void => {
    all += text;
  };
  return { document: { body: { append } }, text: () => all };
}

it("tells events, gaps and states", async () => {
  const gap = 'event: sse:gap\ndata: {"reason":"trimmed","after":"1-1","next":"1-2"}\n\n';
  const server = await serve({ body: `${gap}id: 1\nevent: alert\ndata: fire\n\n`, ending: "stall" });
  const { lines } = await runBlock(server.url, { wanted: ["stream"] });
  await eventually(() => {
    expect(lines).toContainEqual(["events are missing:", "trimmed"]);
    expect(lines).toContainEqual(["fire"]);
    expect(lines).toContainEqual(["alert", "fire", "1"]);
    expect(lines).toContainEqual(["open"]);
  });
});

it("a loop ends with the last event, and its connection with it", async () => {
  const server = await serve({ body: "data: a\n\nevent: last\ndata: b\n\n", ending: "stall" });
  const { lines } = await runBlock(server.url, { below: "In a loop" });
  expect(lines).toEqual([]);
  expect(server.requests[0]?.headers.authorization).toMatch(/^Bearer /);
  await server.requests[0]?.over;
});

it("tokens become a text", async () => {
  const body =
    'event: token\ndata: {"content":"Hel"}\n\nevent: token\ndata: {"content":"lo"}\n\nevent: done\ndata:\n\n';
  const server = await serve({ body });
  const { document, text } = pageOf();
  const { lines } = await runBlock(server.url, { below: "Tokens", wanted: ["stream"] }, { document });
  await eventually(() => expect(lines).toEqual([["Complete:", "Hello"]]));
  expect(text()).toBe("Hello");
});

it("a run is started, followed to its end, and joined again", async () => {
  const hub = createHub();
  onTestFinished(() => hub.close());
  const routes = createRuns({ hub }).routes({
    start: async () => ({
      produce: async (run) => {
        await run.text("So.");
        return { tokens: 3 };
      },
    }),
    authorize: () => true,
  });
  const server = await serveForTest({ fetch: (request) => routes(request) });
  onTestFinished(() => server.close());
  const { document, text } = pageOf();
  const wanted = ["run", "again", "state", "result"];
  const { declared, lines } = browserAt(server.url);
  const { values } = await runExample("docs/client.md", {
    below: "Runs",
    wanted,
    declared: { ...declared, document },
  });
  onTestFinished(() => {
    for (const name of ["run", "again"]) (values[name] as { close(): void }).close();
  });
  expect([values.state, values.result, text()]).toEqual(["done", { tokens: 3 }, "So."]);
  await eventually(() => expect(lines).toContainEqual(["done", undefined]));
});

it("an EventSource has headers", async () => {
  const server = await serve({
    body: 'id: 7\ndata: a\n\nevent: price\ndata: {"eur":1}\n\n',
    ending: "stall",
  });
  const { lines } = await runBlock(
    "http://localhost",
    {
      below: "The standard's `EventSource`",
      wanted: ["source"],
    },
    { fetch: redirected(server.url) },
  );
  await eventually(() => expect(lines).toEqual([["a", "7"], ['{"eur":1}']]));
  expect(server.requests[0]?.headers.authorization).toMatch(/^Bearer /);
});

it("an EventSource reads the answer to a POST", async () => {
  const server = await serve({ body: "data: a\n\n", ending: "stall" });
  const { lines } = await runBlock(
    "http://localhost",
    { below: "Of any stream" },
    { fetch: redirected(server.url) },
  );
  await eventually(() => expect(lines).toEqual([["a"]]));
  expect(server.requests[0]?.method).toBe("POST");
});

/** A fetch to which every address is this one. */
function redirected(url: string): typeof fetch {
  const { fetch } = globalThis;
  return (_, init) => fetch(url, init);
}
