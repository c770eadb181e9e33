// The way past Hono's copying loop on Node: taken where bytes would reach the client unchanged and alone, and nowhere else.
// Wherever it is taken or not, what arrives is exact, and a client that leaves is seen.
import { randomBytes } from "node:crypto";
import type { ServerResponse } from "node:http";
import { getRequestListener, type HttpBindings } from "@hono/node-server";
import type { CloseReason } from "everstream";
import { type SSEStreamingApi, type StreamSSEOptions, streamSSE } from "everstream/hono";
import { rawRequest, serveForTest, type TestServer } from "everstream/testing";
import { type Context, Hono, type MiddlewareHandler } from "hono";
import { compress } from "hono/compress";
import { cors } from "hono/cors";
import { etag } from "hono/etag";
import { logger } from "hono/logger";
import { secureHeaders } from "hono/secure-headers";
import { timeout } from "hono/timeout";
import { afterEach, describe, expect, test, vi } from "vitest";
import { NodeSink } from "../../src/session/node-sink.ts";
import { pulseSize } from "../../src/session/pulse.ts";
import { deferred } from "../session/deferred.ts";
import { eventually } from "../session/eventually.ts";

const taken = vi.spyOn(NodeSink.prototype, "writeText");
const servers: TestServer[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
  await eventually(() => expect(pulseSize()).toBe(0));
  taken.mockClear();
});

type Fetch = (request: Request, env: HttpBindings) => Response | Promise<Response>;
type StreamHandler = (c: Context) => Response;

interface Setting {
  readonly name: string;
  readonly shortcut: boolean;
  /** What the client asks for beside the page. */
  readonly headers?: Record<string, string>;
  readonly options?: StreamSSEOptions;
  /** The whole application around a handler at `/`. */
  app(handler: StreamHandler): Fetch;
  /** What the setting makes of the text: capitals of all, or of all but the first chunks. */
  readonly capitals?: "all" | "rest";
}

/** An application with middleware before the handler. */
const using =
  (...middleware: MiddlewareHandler[]) =>
  (handler: StreamHandler): Fetch => {
    const app = new Hono();
    for (const one of middleware) app.use(one);
    app.get("/", handler);
    return app.fetch as Fetch;
  };

/** Middleware that puts another body around the response's. */
const wrapping = (
  wrap: (body: ReadableStream<Uint8Array>) => ReadableStream<Uint8Array>,
): MiddlewareHandler => {
  return async (c, next) => {
    await next();
    c.res = new Response(wrap(c.res.body as ReadableStream<Uint8Array>), c.res);
  };
};

/** Reads by hand and passes on what `change` makes of each chunk. */
function byHand(
  body: ReadableStream<Uint8Array>,
  change: (chunk: Uint8Array, index: number) => Uint8Array = (chunk) => chunk,
): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  let index = 0;
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await reader.read();
      if (done) controller.close();
      else controller.enqueue(change(value, index++));
    },
    cancel: (reason) => reader.cancel(reason),
  });
}

const upper = (chunk: Uint8Array): Uint8Array => Buffer.from(Buffer.from(chunk).toString().toUpperCase());
const upperStream = (): TransformStream<Uint8Array, Uint8Array> =>
  new TransformStream({ transform: (chunk, controller) => controller.enqueue(upper(chunk)) });

/** Compresses what the stream forbids to: compression of the whole must still be right where somebody insists. */
const insistOnGzip: MiddlewareHandler = async (c, next) => {
  await next();
  c.res.headers.set("Cache-Control", "no-cache");
};

const settings: readonly Setting[] = [
  { name: "nothing around it", shortcut: true, app: using() },
  { name: "middleware that does nothing", shortcut: true, app: using((_c, next) => next()) },
  {
    name: "headers that are set late",
    shortcut: true,
    app: using(async (c, next) => {
      await next();
      c.header("X-Late", "1");
      c.res.headers.set("X-Later", "2");
    }),
  },
  {
    name: "logger, cors, secureHeaders, timeout",
    shortcut: true,
    app: using(
      logger(() => undefined),
      cors(),
      secureHeaders(),
      timeout(60_000),
    ),
  },
  { name: "etag()", shortcut: true, app: using(etag()) },
  {
    name: "compress(), which obeys no-transform",
    shortcut: true,
    app: using(compress()),
    headers: { "Accept-Encoding": "gzip" },
  },
  {
    name: "a sub-application",
    shortcut: true,
    app: (handler) => new Hono().route("/", new Hono().get("/", handler) as Hono).fetch as Fetch,
  },
  {
    name: "app.mount()",
    shortcut: true,
    app: (handler) => {
      const inner = new Hono().get("/", handler);
      return new Hono().mount("/", inner.fetch).fetch as Fetch;
    },
  },
  { name: "the option `direct: false`", shortcut: false, options: { direct: false }, app: using() },
  {
    name: "compress() that is made to compress event streams",
    shortcut: false,
    headers: { "Accept-Encoding": "gzip" },
    app: using(compress({ contentTypeFilter: /^text\/event-stream/ }), insistOnGzip),
  },
  {
    name: "a clone that is read",
    shortcut: false,
    app: using(async (c, next) => {
      await next();
      void c.res.clone().text();
    }),
  },
  {
    name: "a clone that is never read",
    shortcut: false,
    app: using(async (c, next) => {
      await next();
      c.set("kept", c.res.clone());
    }),
  },
  {
    name: "a transform around the body",
    shortcut: false,
    app: using(wrapping((body) => body.pipeThrough(upperStream()))),
    capitals: "all",
  },
  {
    name: "a transform around app.mount()",
    shortcut: false,
    app: (handler) => {
      const inner = new Hono().get("/", handler);
      const app = new Hono();
      app.use(wrapping((body) => body.pipeThrough(upperStream())));
      return app.mount("/", inner.fetch).fetch as Fetch;
    },
    capitals: "all",
  },
  {
    name: "a reader by hand that changes nothing",
    shortcut: false,
    app: using(wrapping((body) => byHand(body))),
  },
  {
    name: "a reader by hand that changes all but the first chunks",
    shortcut: false,
    app: using(wrapping((body) => byHand(body, (chunk, index) => (index < 3 ? chunk : upper(chunk))))),
    capitals: "rest",
  },
  {
    name: "a reader by hand around the whole application",
    shortcut: false,
    app: (handler) => {
      const fetch = using()(handler);
      return async (request, env) => {
        const response = await fetch(request, env);
        const body = byHand(response.body as ReadableStream<Uint8Array>, (chunk, index) =>
          index === 0 ? chunk : upper(chunk),
        );
        return new Response(body, { headers: response.headers });
      };
    },
    capitals: "rest",
  },
  {
    name: "gzip around the whole application",
    shortcut: false,
    app: (handler) => {
      const fetch = using()(handler);
      return async (request, env) => {
        const response = await fetch(request, env);
        const headers = new Headers(response.headers);
        headers.set("Content-Encoding", "gzip");
        return new Response(response.body?.pipeThrough(new CompressionStream("gzip")), { headers });
      };
    },
  },
  {
    name: "a patched write of the Node response",
    shortcut: false,
    app: (handler) => {
      const fetch = using()(handler);
      return (request, env) => {
        const outgoing = env.outgoing as ServerResponse;
        const write = outgoing.write.bind(outgoing) as (chunk: Uint8Array) => boolean;
        outgoing.write = (chunk: Uint8Array) => write(upper(chunk));
        return fetch(request, env);
      };
    },
    capitals: "all",
  },
  {
    name: "a write that is patched while the stream is made",
    shortcut: false,
    app: using(async (c, next) => {
      await next();
      const { outgoing } = c.env as HttpBindings;
      const write = outgoing.write.bind(outgoing) as (chunk: Uint8Array) => boolean;
      outgoing.write = ((chunk: Uint8Array) => write(upper(chunk))) as typeof outgoing.write;
    }),
    capitals: "all",
  },
];

/** Where two long texts part, or -1. */
function firstDifference(text: string, wanted: string): number {
  if (text === wanted) return -1;
  let index = 0;
  while (text[index] === wanted[index]) index++;
  return index;
}

describe.each(settings)("$name", ({ app, shortcut, headers, options, capitals }) => {
  async function serve(callback: (stream: SSEStreamingApi) => Promise<void>): Promise<TestServer> {
    const fetch = app((c) => streamSSE(c, callback, undefined, options));
    const server = await serveForTest(getRequestListener(fetch as Parameters<typeof getRequestListener>[0]));
    servers.push(server);
    return server;
  }

  test(`the client gets exactly what was written${shortcut ? ", by the shortcut" : ""}`, async () => {
    const written = [": everstream heartbeat=15000\n\n"];
    const server = await serve(async (stream) => {
      const line = (bytes: number): string => `: ${randomBytes(bytes).toString("hex")} ü\n`;
      const put = (text: string, asBytes = false): Promise<unknown> => {
        written.push(text);
        return stream.write(asBytes ? new TextEncoder().encode(text) : text);
      };
      for (let round = 0; round < 30; round++) {
        await put(line(10));
        void put(line(round * 100));
        void put(line(20), true);
        if (round % 3 === 0) await stream.sleep(1);
        if (round % 5 === 0) await put(line(30_000), round % 2 === 0);
      }
    });
    // This client decompresses by itself.
    const response = await fetch(server.url, { headers: headers ?? {} });
    const text = await response.text();
    const whole = written.join("");
    const wanted = capitals === undefined ? whole : whole.toUpperCase();
    expect(firstDifference(capitals === "rest" ? text.toUpperCase() : text, wanted)).toBe(-1);
    if (capitals === "rest") expect(text.slice(-10_000)).toBe(wanted.slice(-10_000));
    if (shortcut) expect(taken.mock.calls.length).toBeGreaterThan(10);
    else expect(taken).not.toHaveBeenCalled();
    if (headers !== undefined && !shortcut) expect(response.headers.get("Content-Encoding")).toBe("gzip");
  });

  test("a client that leaves is seen", async () => {
    const [reasons, begun] = [deferred<CloseReason>(), deferred()];
    const server = await serve(async (stream) => {
      void stream.closeReason.then(reasons.resolve);
      for (let count = 0; ; count++) {
        await stream.writeSSE({ data: randomBytes(2000).toString("hex") });
        if (count === 5) begun.resolve();
        await stream.sleep(1);
      }
    });
    const raw = await rawRequest(server, "/", headers && { headers });
    await begun.promise;
    raw.destroy();
    expect(await reasons.promise).toBe("disconnected");
  });
});

test("headers that are set late arrive", async () => {
  const app = using(async (c, next) => {
    await next();
    c.header("X-Late", "1");
    c.res.headers.append("Set-Cookie", "a=1");
  });
  const server = await serveForTest(
    getRequestListener(
      app((c) => streamSSE(c, (stream) => stream.send("x"))) as Parameters<typeof getRequestListener>[0],
    ),
  );
  servers.push(server);
  const raw = await rawRequest(server);
  expect(raw.headers).toMatchObject({ "x-late": "1", "set-cookie": "a=1" });
});

test("a response whose body is wrapped has Node's own write again after a few events", async () => {
  let outgoing: object | undefined;
  const app = using(
    async (c, next) => {
      ({ outgoing } = c.env as HttpBindings);
      await next();
    },
    wrapping((body) => body.pipeThrough(upperStream())),
  );
  const fetch = app((c) =>
    streamSSE(c, async (stream) => {
      for (let count = 0; count < 20; count++) {
        await stream.writeSSE({ data: `${count}` });
        await stream.sleep(1);
      }
      await new Promise(() => undefined);
    }),
  );
  const server = await serveForTest(getRequestListener(fetch as Parameters<typeof getRequestListener>[0]));
  servers.push(server);
  const raw = await rawRequest(server);
  await raw.until("DATA: 19");
  expect(Object.hasOwn(outgoing as object, "write")).toBe(false);
  raw.destroy();
});

test("a response that middleware throws away ends its stream", async () => {
  const reasons = deferred<CloseReason>();
  const app = using(async (c, next) => {
    await next();
    c.res = new Response("something else");
  });
  const fetch = app((c) =>
    streamSSE(c, async (stream) => {
      void stream.closeReason.then(reasons.resolve);
      await new Promise(() => undefined);
    }),
  );
  const server = await serveForTest(getRequestListener(fetch as Parameters<typeof getRequestListener>[0]));
  servers.push(server);
  const raw = await rawRequest(server);
  await raw.ended;
  expect(raw.body).toBe("something else");
  expect(await reasons.promise).toBe("disconnected");
});

test("a client of HTTP/1.0 gets the same bytes, without chunks", async () => {
  const fetch = using()((c) =>
    streamSSE(c, async (stream) => {
      for (let count = 0; count < 5; count++) {
        await stream.writeSSE({ data: `${count}` });
        await stream.sleep(1);
      }
    }),
  );
  const server = await serveForTest(getRequestListener(fetch as Parameters<typeof getRequestListener>[0]));
  servers.push(server);
  const raw = await rawRequest(server, "/", { httpVersion: "1.0" });
  expect(await raw.ended).toBe("complete");
  expect(raw.headers).not.toHaveProperty("transfer-encoding");
  expect(raw.body.match(/.+/g)).toEqual([
    ": everstream heartbeat=15000",
    ...[0, 1, 2, 3, 4].map((n) => `data: ${n}`),
  ]);
});
