// `streamTopics` of both adapters: what the hub decided reaches the client, by whatever server.
import { getRequestListener } from "@hono/node-server";
import { createHub, type Hub, type RespondOptions } from "everstream";
import { streamTopics as streamTopicsOfHono } from "everstream/hono";
import { streamTopics } from "everstream/node";
import { rawRequest, serveForTest, type TestServer } from "everstream/testing";
import { Hono } from "hono";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { NodeSink } from "../../src/session/node-sink.ts";
import { pulseSize } from "../../src/session/pulse.ts";
import { eventually } from "../session/eventually.ts";

let hub: Hub;
let server: TestServer;
const requestSignals: AbortSignal[] = [];

afterEach(async () => {
  await hub.close();
  await server.close();
  await eventually(() => expect(pulseSize()).toBe(0));
});

type Serve = (options: () => RespondOptions) => Promise<TestServer>;

const adapters: readonly [string, Serve][] = [
  ["node:http", (options) => serveForTest((req, res) => void streamTopics(req, res, hub, options()))],
  [
    "Hono on Node",
    (options) => {
      const app = new Hono();
      app.get("/", async (c) => {
        const response = await streamTopicsOfHono(c, hub, options());
        requestSignals.push(c.req.raw.signal);
        return response;
      });
      return serveForTest(getRequestListener(app.fetch));
    },
  ],
  [
    "Hono on Node, wrapped",
    (options) => {
      const app = new Hono();
      app.use(async (c, next) => {
        await next();
        if (c.res.body) c.res = new Response(c.res.body.pipeThrough(new TransformStream()), c.res);
      });
      app.get("/", (c) => streamTopicsOfHono(c, hub, options()));
      return serveForTest(getRequestListener(app.fetch));
    },
  ],
];

describe.each(adapters)("%s", (name, serve) => {
  let options: RespondOptions;

  beforeEach(async () => {
    hub = createHub();
    options = { topics: ["a", "b"] };
    requestSignals.length = 0;
    server = await serve(() => options);
  });

  const open = (lastEventId?: string) =>
    rawRequest(server, "/", lastEventId === undefined ? {} : { headers: { "Last-Event-ID": lastEventId } });
  const datas = ({ events }: Awaited<ReturnType<typeof open>>): unknown[] =>
    events.filter(({ event }) => !event.startsWith("sse:")).map(({ data }) => JSON.parse(data) as unknown);

  test("a client that comes back gets what it missed, then what is new, once and in order", async () => {
    const shared = vi.spyOn(NodeSink.prototype, "writeShared");
    const first = await open();
    await first.until("sse:live");
    expect(first.headers).toMatchObject({ "content-type": "text/event-stream", "x-accel-buffering": "no" });
    await hub.publish("a", { data: 1 });
    await first.until("data: 1");
    first.destroy();
    await eventually(() => expect(hub.stats().sessions).toBe(0));
    await hub.publish("b", { data: 2 });
    await hub.publish("elsewhere", { data: "not mine" });
    const second = await open(first.events.at(-1)?.lastEventId);
    await hub.publish("a", [{ data: 3 }, { data: 4 }]);
    await second.until("data: 4");
    expect(datas(second)).toEqual([2, 3, 4]);
    // Live events go past Hono's loop, where nothing is in the way.
    if (name !== "Hono on Node, wrapped") expect(shared).toHaveBeenCalled();
    else expect(shared).not.toHaveBeenCalled();
    shared.mockRestore();
  });

  test("HEAD, a finished topic and wrong topics are answered without a stream", async () => {
    const head = await rawRequest(server, "/", { method: "HEAD" });
    expect([head.status, head.headers["content-type"], await head.ended]).toEqual([
      200,
      "text/event-stream",
      "complete",
    ]);
    options = { topics: "done" };
    await hub.publish("done", { data: 1 });
    const over = await open(await hub.finish("done"));
    expect([over.status, await over.ended, over.body]).toEqual([204, "complete", ""]);
    options = { topics: "" };
    const wrong = await open();
    expect([wrong.status, wrong.headers["content-type"]]).toEqual([400, "application/json"]);
    expect(hub.stats().sessions).toBe(0);
  });

  test("the hub's close ends its streams in good order, and the request's signal", async () => {
    const raw = await open();
    await raw.until("sse:live");
    await hub.close();
    expect(await raw.ended).toBe("complete");
    expect(raw.body).toMatch(/retry: \d+\n\n$/);
    expect(requestSignals.every(({ aborted }) => aborted)).toBe(true);
    if (name === "Hono on Node") expect(requestSignals).toHaveLength(1);
  });

  test("a client that leaves while the hub still reads for it leaves no session", async () => {
    const { open: decide } = hub;
    let leave: () => void = () => undefined;
    const left = new Promise<void>((resolve) => {
      leave = resolve;
    });
    vi.spyOn(hub, "open").mockImplementation(async (...args) => {
      await left;
      return decide.apply(hub, args);
    });
    open().catch(() => undefined);
    await eventually(() => expect(hub.open).toHaveBeenCalled());
    for (const socket of server.sockets) socket.once("close", leave);
    server.cut();
    await left;
    await eventually(() => expect(hub.stats().closed).toEqual({ disconnected: 1 }));
    expect(hub.stats().sessions).toBe(0);
  });
});

describe("a client that returns", () => {
  const joinedWrites: number[] = [];
  const serveCounting: Serve = (options) =>
    serveForTest((req, res) => {
      const writes = [vi.spyOn(req.socket, "_write"), vi.spyOn(req.socket, "_writev" as "_write")];
      void streamTopics(req, res, hub, options()).then(() => {
        joinedWrites.push(writes.reduce((sum, { mock }) => sum + mock.calls.length, 0));
      });
    });

  test("is sent headers, greeting and what it missed in one write, once others have read it", async () => {
    hub = createHub();
    server = await serveCounting(() => ({ topics: "t" }));
    const after = await hub.publish("t", { data: 0 });
    await hub.publish("t", [{ data: 1 }, { data: 2 }]);
    await hub.publish("other", { data: 3 });
    for (let count = 0; count < 3; count++) {
      const client = await rawRequest(server, "/", { headers: { "Last-Event-ID": after } });
      await client.until("data: 2");
      expect(client.body).toContain("sse:live");
      client.socket.destroy();
    }
    expect(Math.min(...joinedWrites)).toBe(1);
  });
});
