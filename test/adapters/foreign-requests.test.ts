// Calls that everybody makes once: with another server's request, with a body that is gone.
import { createServer } from "node:http";
import { createHub, createRuns, type Hub, type RunRoutesOptions, type Runs, streamEvents } from "everstream";
import { joinRun, startRun } from "everstream/client";
import * as forHono from "everstream/hono";
import * as forNode from "everstream/node";
import { serveForTest, type TestServer } from "everstream/testing";
import express from "express";
import fastify from "fastify";
import { Hono } from "hono";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { pulseSize } from "../../src/session/pulse.ts";
import { eventually } from "../session/eventually.ts";

let hub: Hub;
let runs: Runs;
let server: TestServer | undefined;
beforeEach(() => {
  hub = createHub();
  runs = createRuns({ hub });
});
afterEach(async () => {
  await runs.close();
  await hub.close();
  await server?.close();
  server = undefined;
  vi.restoreAllMocks();
  await eventually(() => expect(pulseSize()).toBe(0));
});

/** What a call rejects or throws, which is refused by name and says where to go instead. */
async function refusalOf(call: () => unknown): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  return "nothing was refused";
}

function invalid(words: RegExp): unknown {
  return expect.objectContaining({ code: "INVALID_OPTION", message: expect.stringMatching(words) });
}

const callback = (): void => undefined;
const topics = { topics: "news" };

describe("a request of another server", () => {
  it("of Node's, and Hono's context, is refused by what takes Fetch's", async () => {
    const seen: unknown[] = [];
    server = await serveForTest(async (req, res) => {
      const request = req as unknown as Request;
      seen.push(await refusalOf(() => streamEvents(request, callback)));
      seen.push(await refusalOf(() => hub.respond(request, topics)));
      seen.push(await refusalOf(() => runs.respond(request, "1")));
      res.end();
    });
    await fetch(server.url);
    const app = new Hono().get("/", async (c) => {
      for (const request of [c, c.req] as unknown as Request[]) {
        seen.push(await refusalOf(() => streamEvents(request, callback)));
        seen.push(await refusalOf(() => hub.respond(request, topics)));
      }
      return c.text("");
    });
    await app.request("/");
    expect(seen).toEqual(Array(7).fill(invalid(/`request`.+c\.req\.raw.+everstream\/node/)));
  });

  it("of Hono's is refused by what takes Node's", async () => {
    const app = new Hono().get("/", async (c) => {
      const [req, res] = [c, undefined] as unknown as Parameters<typeof forNode.streamSSE>;
      const words = invalid(/`res`.+reply\.raw.+everstream\/hono/);
      expect(await refusalOf(() => forNode.streamSSE(req, res, callback))).toEqual(words);
      expect(await refusalOf(() => forNode.streamTopics(req, res, hub, topics))).toEqual(words);
      expect(await refusalOf(() => forNode.streamRun(req, res, runs, "1"))).toEqual(words);
      return c.text("asked");
    });
    expect(await (await app.request("/")).text()).toBe("asked");
  });

  it("of Node's is refused by what takes Hono's", async () => {
    const c = { method: "GET", headers: {} } as unknown as Parameters<typeof forHono.streamSSE>[0];
    const words = invalid(/`c`.+everstream\/node/);
    expect(await refusalOf(() => forHono.streamSSE(c, callback))).toEqual(words);
    expect(await refusalOf(() => forHono.streamTopics(c, hub, topics))).toEqual(words);
    expect(await refusalOf(() => forHono.streamRun(c, runs, "1"))).toEqual(words);
  });
});

describe("a body that was read before the routes of runs", () => {
  const options: RunRoutesOptions = {
    start: async (request) => {
      const question = await request.text();
      return { produce: (run) => run.text(question) };
    },
    authorize: () => true,
  };

  it("is taken from `req.body`, as Fastify's may be put there", async () => {
    const routes = forNode.runRoutes(runs, options);
    const app = fastify();
    app.all("/runs/*", (request, reply) => {
      reply.hijack();
      return routes(Object.assign(request.raw, { body: request.body }), reply.raw);
    });
    await app.ready();
    server = await serveForTest(app.server);
    const run = startRun(`${server.url}/runs`, { input: { question: "How?" } });
    expect(await run.finished).toMatchObject({ state: "done", text: '{"question":"How?"}' });
    expect(await joinRun(`${server.url}/runs`, run.id).finished).toMatchObject({ state: "done" });
    await app.close();
  });

  it("is taken as it is where it is bytes", async () => {
    const app = express().use(express.raw({ type: () => true }), forNode.runRoutes(runs, options));
    server = await serveForTest(createServer(app));
    const run = startRun(`${server.url}/runs`, { input: { question: "How?" } });
    expect(await run.finished).toMatchObject({ state: "done", text: '{"question":"How?"}' });
  });

  it("is not waited for where it is nowhere: the console has what to do", async () => {
    const told = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const routes = forNode.runRoutes(runs, options);
    server = await serveForTest(async (req, res) => {
      for await (const _ of req);
      await routes(req, res);
    });
    const started = await fetch(`${server.url}/runs/1`, { method: "POST", body: "How?" });
    expect(started.status).toBe(500);
    expect(told.mock.calls.join()).toMatch(/Object\.assign\(request\.raw, \{ body: request\.body \}\)/);
    // Who needs no body gets an answer.
    const stopped = await fetch(`${server.url}/runs/1`, { method: "DELETE" });
    expect(stopped.status).toBeLessThan(300);
  });
});
