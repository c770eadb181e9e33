// Responses that can't be sent when it is their turn: no session is left behind, and the client gets what can be had.

import type { IncomingMessage, ServerResponse } from "node:http";
import { connect as connectHttp2, createServer as createHttp2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { connect } from "node:net";
import { getRequestListener, type HttpBindings } from "@hono/node-server";
import { createHub, createRuns, type Hub, type Runs } from "everstream";
import { streamTopics as streamTopicsOfHono } from "everstream/hono";
import { runRoutes, streamRun, streamTopics } from "everstream/node";
import { rawRequest, serveForTest, type TestServer } from "everstream/testing";
import { type Context, Hono } from "hono";
import { afterEach, beforeEach, describe, expect, type MockInstance, test, vi } from "vitest";
import { pulseSize } from "../../src/session/pulse.ts";
import { eventually } from "../session/eventually.ts";

let hub: Hub;
let runs: Runs;
let server: TestServer;
let before: number;
let reported: MockInstance<typeof console.error>;

beforeEach(async () => {
  reported = vi.spyOn(console, "error").mockImplementation(() => undefined);
  hub = createHub();
  runs = createRuns({ hub });
  await runs.start({ id: "answer", produce: () => new Promise<never>(() => undefined) });
  before = pulseSize();
});

afterEach(async () => {
  await runs.close();
  await hub.close();
  await server.close();
  vi.restoreAllMocks();
});

const nothingIsLeft = (): Promise<void> =>
  eventually(() => {
    expect(hub.stats().sessions).toBe(0);
    expect(pulseSize()).toBe(before);
  });

/** Answers as a timeout does, while the stream's rights are still being looked at. */
function timesOut(res: ServerResponse): () => Promise<boolean> {
  return async () => {
    res.writeHead(503, { "Content-Type": "text/plain" }).end("too slow");
    return true;
  };
}

type Answer = (req: IncomingMessage, res: ServerResponse, authorize?: () => Promise<boolean>) => unknown;

const answers: [string, Answer][] = [
  [
    "streamTopics",
    (req, res, authorize) => streamTopics(req, res, hub, { topics: "t", ...(authorize && { authorize }) }),
  ],
  ["streamRun", (req, res, authorize) => streamRun(req, res, runs, "answer", authorize && { authorize })],
];

describe.each(answers)("%s on node:http", (_, answer) => {
  test("of a response that other code has sent meanwhile: what was sent is whole, and the fault is reported", async () => {
    const answered: unknown[] = [];
    server = await serveForTest(
      (req, res) => void Promise.resolve(answer(req, res, timesOut(res))).then(() => answered.push(1)),
    );
    const raw = await rawRequest(server);
    expect([await raw.ended, raw.status, raw.body]).toEqual(["complete", 503, "too slow"]);
    await eventually(() => expect(answered).toHaveLength(1));
    await nothingIsLeft();
    expect(hub.stats().closed).toEqual({ "write-failed": 1 });
    expect(reported).toHaveBeenCalledWith(
      expect.stringContaining("could not be sent"),
      expect.objectContaining({ code: "STREAM_ENDED", message: expect.stringContaining("timeout") }),
    );
  });

  test("of a response whose head middleware fails to send: 500 without its words, and the fault is reported", async () => {
    server = await serveForTest((req, res) => {
      const { writeHead } = res;
      let calls = 0;
      res.writeHead = ((...args: Parameters<typeof writeHead>) => {
        if (calls++ === 0) throw new Error("secret");
        return writeHead.apply(res, args);
      }) as typeof writeHead;
      void answer(req, res);
    });
    const raw = await rawRequest(server);
    expect([await raw.ended, raw.status, JSON.parse(raw.body)]).toEqual([
      "complete",
      500,
      { error: "Internal error", code: "INTERNAL_ERROR" },
    ]);
    expect(raw.headers["content-type"]).toBe("application/json");
    await nothingIsLeft();
    expect(reported).toHaveBeenCalledWith(expect.any(String), new Error("secret"));
  });

  test("of a response that can't be sent at all: the connection is cut, so that nobody waits", async () => {
    server = await serveForTest((req, res) => {
      res.writeHead = () => {
        throw new Error("never");
      };
      void answer(req, res);
    });
    await expect(rawRequest(server)).rejects.toThrow();
    await nothingIsLeft();
  });
});

test("a refusal of a response that other code has sent is nothing worse than reported", async () => {
  server = await serveForTest((req, res) => {
    const timeOut = timesOut(res);
    void streamTopics(req, res, hub, { topics: "t", authorize: async () => !(await timeOut()) });
  });
  const raw = await rawRequest(server);
  expect([await raw.ended, raw.status]).toEqual(["complete", 503]);
  await eventually(() => expect(reported).toHaveBeenCalledOnce());
});

test("a client of HTTP/2 that leaves while the hub still decides leaves no session, and no report", async () => {
  server = await serveForTest(() => undefined);
  let left: Promise<void> = Promise.resolve();
  let asked: () => void = () => undefined;
  const asking = new Promise<void>((resolve) => {
    asked = resolve;
  });
  const http2 = createHttp2Server((req, res) => {
    left = new Promise((resolve) => res.stream.once("close", resolve));
    const authorize = () => {
      asked();
      return left.then(() => true);
    };
    void streamTopics(req, res, hub, { topics: "t", authorize });
  });
  await new Promise<void>((resolve) => http2.listen(0, "127.0.0.1", resolve));
  const session = connectHttp2(`http://127.0.0.1:${(http2.address() as AddressInfo).port}`);
  const stream = session.request({ ":path": "/" });
  await asking;
  stream.close();
  await left;
  await eventually(() => expect(hub.stats().closed).toEqual({ disconnected: 1 }));
  await nothingIsLeft();
  expect(reported).not.toHaveBeenCalled();
  session.close();
  await new Promise((resolve) => http2.close(resolve));
});

describe("runRoutes on node:http", () => {
  beforeEach(async () => {
    const route = runRoutes(runs, { authorize: () => true });
    server = await serveForTest((req, res) => void route(req, res));
  });

  /** Sends bytes as no client of the standard would. */
  const send = (head: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect(Number(new URL(server.url).port), "127.0.0.1");
      let text = "";
      socket.on("data", (bytes) => {
        text += bytes;
      });
      socket.on("end", () => resolve(text));
      socket.on("error", reject);
      socket.end(head);
    });

  test.each([
    "GET /runs/answer HTTP/1.1\r\nHost: [",
    "GET /runs/answer HTTP/1.1\r\nHost:",
    "GET /runs/answer HTTP/1.1\r\nHost: a:b@localhost",
    "GET /runs/answer HTTP/1.1\r\nHost: localhost/x?",
    "GET http://a:b@localhost/runs/answer HTTP/1.1\r\nHost: localhost",
    "GET file:///runs/answer HTTP/1.1\r\nHost: localhost",
    "TRACE /runs/answer HTTP/1.1\r\nHost: localhost",
    "OPTIONS * HTTP/1.1\r\nHost: localhost",
  ])("answers %j with 400, and lives on", async (head) => {
    expect(await send(`${head}\r\nConnection: close\r\n\r\n`)).toMatch(/^HTTP\/1.1 400 /);
    expect((await rawRequest(server, "/runs/answer/state")).status).toBe(200);
  });

  test.each(["//other/runs/answer", "//a:b@other/runs/answer", "/\\other/runs/answer", "//"])(
    "takes the path %j for what it is, and none of its routes",
    async (path) => {
      const answer = await send(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1.1 40[04] /);
    },
  );

  test.each([
    "/public/../runs/answer/state",
    "/public/%2E./runs/answer/state",
    "/runs/./answer/state",
    "/x/..\\runs/answer/state",
    "/runs/answer/state/..",
  ])("refuses the path %j, which whoever guards paths by their text reads otherwise", async (path) => {
    const answer = await send(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1.1 400 /);
  });

  test.each(["http://localhost/runs/answer/state", "/runs/answer/state?a=/../b"])(
    "answers what is asked for as %j",
    async (target) => {
      const answer = await send(`GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1.1 200 .*"id":"answer"/s);
    },
  );

  test("reports an answer that other code has sent before", async () => {
    await server.close();
    const route = runRoutes(runs, {
      authorize: () => true,
      start: () => new Response("no", { status: 403 }),
    });
    server = await serveForTest((req, res) => {
      const routed = route(req, res);
      res.writeHead(503).end("too slow");
      void routed;
    });
    const raw = await rawRequest(server, "/runs/new", { method: "POST" });
    expect([await raw.ended, raw.status]).toEqual(["complete", 503]);
    await eventually(() => expect(reported).toHaveBeenCalledOnce());
  });
});

describe("streamTopics of Hono on Node", () => {
  const app = (
    answer: (c: Context<{ Bindings: HttpBindings }>) => Promise<Response>,
  ): Hono<{ Bindings: HttpBindings }> => {
    const hono = new Hono<{ Bindings: HttpBindings }>();
    hono.get("/", answer);
    return hono;
  };

  test("of a response that a timeout has sent meanwhile leaves no session", async () => {
    let decided: () => void = () => undefined;
    const decision = new Promise<void>((resolve) => {
      decided = resolve;
    });
    const routes = new Hono<{ Bindings: HttpBindings }>();
    const streams: Promise<Response>[] = [];
    routes.get("/", (c) => {
      streams.push(streamTopicsOfHono(c, hub, { topics: "t", authorize: () => decision.then(() => true) }));
      return c.text("too slow", 503);
    });
    server = await serveForTest(getRequestListener(routes.fetch));
    const raw = await rawRequest(server);
    expect([await raw.ended, raw.status]).toEqual(["complete", 503]);
    decided();
    await Promise.all(streams);
    await nothingIsLeft();
  });

  test("that can't be made leaves no session, and its error is Hono's to answer", async () => {
    const routes = app(async (c) => {
      c.newResponse = () => {
        throw new Error("no response");
      };
      return streamTopicsOfHono(c, hub, { topics: "t" });
    });
    routes.onError((error) => new Response(error.message, { status: 500 }));
    server = await serveForTest(getRequestListener(routes.fetch));
    const raw = await rawRequest(server);
    expect([await raw.ended, raw.status, raw.body]).toEqual(["complete", 500, "no response"]);
    await nothingIsLeft();
    expect(hub.stats().closed).toEqual({ "write-failed": 1 });
  });
});

test("headers that can't be sent are an error of Hono's route before there is a session", async () => {
  const routes = new Hono();
  routes.get("/", (c) => streamTopicsOfHono(c, hub, { topics: "t", headers: { "X-Name": "b\u4e2d" } }));
  routes.onError((error) => new Response(error.message, { status: 500 }));
  server = await serveForTest(getRequestListener(routes.fetch));
  const raw = await rawRequest(server);
  await raw.ended;
  expect([raw.status, raw.body]).toEqual([500, expect.stringContaining("X-Name")]);
  expect(hub.stats().closed).toEqual({});
});
