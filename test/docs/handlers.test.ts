// What docs/handlers.md says of its examples, seen in them.
import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Hub } from "everstream";
import { startRun } from "everstream/client";
import { collectEvents, rawRequest, serveForTest } from "everstream/testing";
import fastify, { type FastifyInstance, type FastifyReply } from "fastify";
import type { Hono } from "hono";
import { expect, it, onTestFinished, vi } from "vitest";
import { bundleExample, runExample } from "../setup/doc-example.ts";

const page = "docs/handlers.md";

it("opens with a handler that counts for each client, until it leaves", async () => {
  const { urls } = await runExample(page);
  const client = await rawRequest(urls[0] ?? "");
  await client.until('"count":1');
  const ticks = [0, 1].map((count) => ({ event: "tick", data: JSON.stringify({ count }) }));
  expect(client.events).toMatchObject(ticks);
  client.destroy();
});

it("passes on somebody else's stream, which ends when the client leaves", async () => {
  let left: AbortSignal | null | undefined;
  const upstream: typeof fetch = async (_, init) => {
    left = init?.signal;
    return new Response("data: from afar\n\n");
  };
  vi.stubGlobal("fetch", upstream);
  const { values } = await runExample(page, { below: "When it ends", wanted: ["app"] });
  const response = await (values.app as Hono).request("/proxy");
  expect(await collectEvents(response, { count: 1 })).toMatchObject([{ data: "from afar" }]);
  await expect.poll(() => left?.aborted).toBe(true);
});

it("keeps one hub for Next.js, however often its module is loaded", async () => {
  const example = () => runExample(page, { below: "Next.js" });
  const [{ values: first }, { values: second }] = [await example(), await example()];
  onTestFinished(async () => {
    await (first.hub as Hub).close();
    Reflect.deleteProperty(globalThis, "hub");
  });
  expect(second.hub).toBe(first.hub);
});

it("hands on what Fastify's plugins have set, and the body that it has read", async () => {
  const { values, urls } = await runExample(page, { below: "Fastify", wanted: ["app", "hub", "hijack"] });
  const { app, hub } = values as { app: FastifyInstance; hub: Hub };
  onTestFinished(async () => {
    await hub.close();
    await app.close();
  });
  const client = await rawRequest(urls[0] ?? "", "/news");
  await hub.publish("news", { data: 1 });
  await client.until("data: 1");
  client.destroy();
  const run = startRun(`${urls[0]}/runs`, { input: { question: "?" } });
  expect(await run.finished).toMatchObject({ state: "done", text: "Hello" });

  const hijack = values.hijack as (reply: FastifyReply) => FastifyReply["raw"];
  const other = fastify();
  other.addHook("onRequest", async (_, reply) => void reply.header("X-Plugin", "1"));
  other.get("/", (_, reply) => void hijack(reply).end());
  expect((await other.inject("/")).headers).toMatchObject({ "x-plugin": "1" });
});

it("tells clients of a failure what onError writes", async () => {
  const { values } = await runExample(page, { below: "When it fails" });
  const console = vi.spyOn(globalThis.console, "error").mockReturnValue();
  onTestFinished(() => console.mockRestore());
  const handle = values.handle as (request: Request) => Response;
  const events = await collectEvents(handle(new Request("http://localhost/")));
  expect(events.map(({ event }) => event)).toEqual(["progress", "error"]);
  expect(events[1]?.data).toBe('{"code":"BUSY","message":"Try again in a minute."}');
  expect(console).toHaveBeenCalledOnce();
});

it("serves a hub whose streams forget the request's header fields", async () => {
  const { values, urls } = await runExample(page, { below: "Memory", wanted: ["hub"] });
  const hub = values.hub as Hub;
  onTestFinished(() => hub.close());
  const client = await rawRequest(urls[0] ?? "");
  await hub.publish("news", { data: 1 });
  await client.until("data: 1");
});

it("tells the progress of three steps, and that all is done", async () => {
  const { values } = await runExample(page, { below: "Progress of long work", wanted: ["app"] });
  const server = await serveForTest(values.app as Hono);
  onTestFinished(() => server.close());
  const events = await collectEvents(await fetch(`${server.url}/import`, { method: "POST" }));
  expect(events.at(-1)).toMatchObject({ event: "done", data: '{"rows":3000}' });
  const told = events.slice(0, -1).map(({ data }) => JSON.parse(data) as { step: string; progress: number });
  expect(new Set(told.map(({ step }) => step))).toEqual(new Set(["Reading", "Checking", "Storing"]));
  expect(told.at(-1)?.progress).toBe(100);
});

it("ends all handlers' streams in good order at SIGTERM, and then the process", async () => {
  const last = `
    import { createServer } from "node:http";
    import { streamSSE } from "everstream/node";
    const server = createServer((req, res) => streamSSE(req, res, (stream) => stream.closeReason));
    server.listen(0, "127.0.0.1", () => console.log(server.address().port));`;
  const script = await bundleExample(page, { below: "Shutting down", last });
  const child = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  const [port] = await once(child.stdout, "data");
  const client = await rawRequest(Number(port));
  await client.until("everstream");
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  expect(await client.ended).toBe("complete");
  expect(client.body).toMatch(/^retry: \d+$/m);
  expect(await ended).toEqual([0, null]);
});
