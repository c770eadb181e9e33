// What becomes of a request's and a response's header fields, which stay in memory for as long as a stream is open.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { connect as connectHttp2, createServer as createHttp2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { getRequestListener, type HttpBindings } from "@hono/node-server";
import compression from "compression";
import { createHub, createRuns, type Hub, type Runs } from "everstream";
import {
  type SSEStreamingApi,
  streamSSE as streamSSEOfHono,
  streamTopics as streamTopicsOfHono,
} from "everstream/hono";
import {
  type NodeRequest,
  type NodeStreamOptions,
  streamRun,
  streamSSE,
  streamTopics,
} from "everstream/node";
import { rawRequest, serveForTest, type TestServer } from "everstream/testing";
import { type Context, Hono } from "hono";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { eventually } from "../session/eventually.ts";

let hub: Hub;
let runs: Runs;
let server: TestServer;

beforeEach(() => {
  hub = createHub();
  runs = createRuns({ hub });
});

afterEach(async () => {
  await runs.close();
  await hub.close();
  await server.close();
});

const FIELDS = { "X-Mine": "kept", Cookie: "session=1" };

const forever = (): Promise<never> => new Promise(() => undefined);

/** The straight way is taken by a write after the first. */
async function ticking(stream: SSEStreamingApi): Promise<void> {
  while (!stream.closed) {
    await stream.writeSSE({ data: "tick" });
    await stream.sleep(5);
  }
}

/** Every form in which a request has a header field. */
const formsOf = (req: IncomingMessage): unknown[] => [
  req.headers["x-mine"],
  req.headersDistinct["x-mine"],
  req.rawHeaders.includes("X-Mine"),
];

const KEPT = ["kept", ["kept"], true];
const FREED = [undefined, undefined, false];

describe("a request's header fields", () => {
  type Open = (req: IncomingMessage, res: ServerResponse, options: NodeStreamOptions) => unknown;

  const adapters: [string, Open][] = [
    ["streamSSE", (req, res, options) => streamSSE(req, res, forever, options)],
    ["streamTopics", (req, res, options) => streamTopics(req, res, hub, { topics: "t", ...options })],
    ["streamRun", (req, res, options) => streamRun(req, res, runs, "answer", options)],
  ];

  test.each(adapters)(
    "of %s are let go of once the stream is open, where that is asked for",
    async (_, open) => {
      await runs.start({ id: "answer", produce: forever });
      const requests: IncomingMessage[] = [];
      server = await serveForTest((req, res) => {
        requests.push(req);
        void open(req, res, req.url === "/free" ? { freeRequestHeaders: true } : {});
      });
      for (const path of ["/", "/free"]) {
        const raw = await rawRequest(server, path, { headers: FIELDS });
        await raw.until("everstream");
      }
      await eventually(() => expect(requests.map(formsOf)).toEqual([KEPT, FREED]));
    },
  );

  test("are there for `authorize`, for the cursor and until the callback first waits", async () => {
    const id = await hub.publish("t", { data: "seen" });
    await hub.publish("t", { data: "missed" });
    const seen: unknown[] = [];
    server = await serveForTest((req, res) => {
      if (req.url === "/callback") {
        const read = (): void => void seen.push(req.headers["x-mine"]);
        return streamSSE(req, res, read, { freeRequestHeaders: true });
      }
      void streamTopics(req, res, hub, {
        topics: "t",
        freeRequestHeaders: true,
        authorize: (head) => {
          seen.push(head.header("x-mine"));
          return true;
        },
      });
    });
    const raw = await rawRequest(server, "/", { headers: { ...FIELDS, "Last-Event-ID": id } });
    await raw.until("missed");
    expect(raw.body).not.toContain("seen");
    await (await rawRequest(server, "/callback", { headers: FIELDS })).ended;
    expect(seen).toEqual(["kept", "kept"]);
  });

  test("are no longer needed by a connection that lives on", async () => {
    server = await serveForTest((req, res) =>
      streamSSE(req, res, (stream) => stream.writeSSE({ data: "one" }), { freeRequestHeaders: true }),
    );
    const agent = { headers: { ...FIELDS, Connection: "keep-alive" } };
    for (let round = 0; round < 2; round++) {
      const raw = await rawRequest(server, "/", agent);
      expect(await raw.ended).toBe("complete");
    }
  });

  test("of HTTP/2 stay", async () => {
    const requests: NodeRequest[] = [];
    const http2 = createHttp2Server((req, res) => {
      requests.push(req);
      streamSSE(req, res, () => undefined, { freeRequestHeaders: true });
    });
    server = await serveForTest(createServer());
    await new Promise<void>((resolve) => http2.listen(0, "127.0.0.1", resolve));
    const session = connectHttp2(`http://127.0.0.1:${(http2.address() as AddressInfo).port}`);
    for await (const _ of session.request({ ":path": "/", "x-mine": "kept" })) {
      // To the end.
    }
    expect(requests[0]?.headers["x-mine"]).toBe("kept");
    session.close();
    await new Promise((resolve) => http2.close(resolve));
  });

  const underHono: [string, (c: Context, options: NodeStreamOptions) => Response | Promise<Response>][] = [
    ["streamSSE", (c, options) => streamSSEOfHono(c, ticking, undefined, options)],
    ["streamTopics", (c, options) => streamTopicsOfHono(c, hub, { topics: "t", ...options })],
  ];

  test.each(underHono)(
    "of %s under Hono are let go of when the response leaves, not before",
    async (_, open) => {
      const requests: IncomingMessage[] = [];
      const afterwards: unknown[] = [];
      const app = new Hono<{ Bindings: HttpBindings }>();
      app.use(async (c, next) => {
        requests.push(c.env.incoming as IncomingMessage);
        await next();
        afterwards.push(c.req.header("x-mine"));
      });
      app.get("/", (c) => open(c, {}));
      app.get("/free", (c) => open(c, { freeRequestHeaders: true }));
      server = await serveForTest(getRequestListener(app.fetch));
      for (const path of ["/", "/free"]) {
        const raw = await rawRequest(server, path, { headers: FIELDS });
        await raw.until("everstream");
      }
      await hub.publish("t", { data: "on the shortcut" });
      await eventually(() => expect(requests.map(formsOf)).toEqual([KEPT, FREED]));
      expect(afterwards).toEqual(["kept", "kept"]);
    },
  );
});

describe("the cursor", () => {
  const cursors: unknown[] = [];

  beforeEach(() => {
    cursors.length = 0;
  });

  test("is found however its field is spelt; repeated fields are joined, as Node does", async () => {
    server = await serveForTest((req, res) => {
      streamSSE(req, res, (stream) => {
        cursors.push([stream.lastEventId, req.headers["last-event-id"]]);
      });
    });
    for (const headers of [
      { "LAST-event-ID": "1" },
      { "Last-Event-ID": "1", "last-event-id": "2" },
      FIELDS,
    ]) {
      await (await rawRequest(server, "/", { headers: headers as Record<string, string> })).ended;
    }
    expect(cursors).toEqual([
      ["1", "1"],
      ["1, 2", "1, 2"],
      [undefined, undefined],
    ]);
  });

  test("of a request that has no raw fields, as adapters for functions make them, is that of `headers`", async () => {
    server = await serveForTest((req, res) => {
      req.rawHeaders = [];
      req.headers = { "last-event-id": "made by hand" };
      streamSSE(req, res, (stream) => void cursors.push(stream.lastEventId));
    });
    await (await rawRequest(server)).ended;
    expect(cursors).toEqual(["made by hand"]);
  });
});

describe("a response's header fields", () => {
  test("leave without being kept where none were set before, as with `writeHead`", async () => {
    const responses: ServerResponse[] = [];
    server = await serveForTest((req, res) => {
      responses.push(res);
      if (req.url === "/set") res.setHeader("X-Mine", "1");
      res.statusCode = 203;
      streamSSE(req, res, () => undefined);
    });
    for (const path of ["/", "/set"]) {
      const raw = await rawRequest(server, path);
      await raw.ended;
      expect(raw.status).toBe(203);
      expect(raw.headers).toMatchObject({ "content-type": "text/event-stream", "x-accel-buffering": "no" });
    }
    expect(responses.map((res) => res.getHeader("Content-Type"))).toEqual([undefined, "text/event-stream"]);
  });

  test("are seen by middleware that looks at them when they leave, though it has set none", async () => {
    const compress = compression({ filter: () => true, threshold: 0 });
    const responses: ServerResponse[] = [];
    server = await serveForTest((req, res) => {
      responses.push(res);
      compress(req as Parameters<typeof compress>[0], res as Parameters<typeof compress>[1], () =>
        streamSSE(req, res, (stream) => stream.writeSSE({ data: "plain" })),
      );
    });
    const raw = await rawRequest(server, "/", { headers: { "Accept-Encoding": "gzip" } });
    await raw.until("data: plain");
    // It must not be compressed: `no-transform`.
    expect(raw.headers).not.toHaveProperty("content-encoding");
    expect(raw.headers).toMatchObject({ "content-type": "text/event-stream" });
    expect(responses[0]?.getHeader("Cache-Control")).toContain("no-transform");
  });
});
