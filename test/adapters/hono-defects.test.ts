// The nine defects of `hono/streaming`'s `streamSSE` that a drop-in must not have, each by name, over real connections.
import { createServer as createHttp2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { createAdaptorServer, getRequestListener } from "@hono/node-server";
import type { CloseReason } from "everstream";
import { type SSEMessage, type SSEStreamingApi, streamSSE } from "everstream/hono";
import {
  collectEvents,
  type RawResponse,
  rawRequest,
  serveForTest,
  type TestServer,
} from "everstream/testing";
import { type Context, Hono } from "hono";
import { etag } from "hono/etag";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { pulseSize } from "../../src/session/pulse.ts";
import { deferred } from "../session/deferred.ts";
import { eventually } from "../session/eventually.ts";

const servers: TestServer[] = [];
const unhandled = vi.fn();
const reported = vi.spyOn(console, "error").mockImplementation(() => undefined);

beforeEach(() => {
  unhandled.mockClear();
  reported.mockClear();
  process.on("unhandledRejection", unhandled);
});

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
  await eventually(() => expect(pulseSize()).toBe(0));
  process.off("unhandledRejection", unhandled);
  expect(unhandled).not.toHaveBeenCalled();
});

const forever = (): Promise<never> => new Promise(() => undefined);
const appOf = (handler: (c: Context) => Response): Hono => new Hono().get("/", handler) as Hono;

async function serve(app: Hono | ((c: Context) => Response)): Promise<TestServer> {
  const { fetch } = app instanceof Hono ? app : appOf(app);
  const server = await serveForTest(getRequestListener(fetch));
  servers.push(server);
  return server;
}

async function get(
  app: Hono | ((c: Context) => Response),
  headers?: Record<string, string>,
): Promise<RawResponse> {
  return rawRequest(await serve(app), "/", headers && { headers });
}

const datas = ({ events }: RawResponse): string[] => events.map(({ data }) => data);

describe("1: un-awaited writes", () => {
  test("right before the callback's return arrive", async () => {
    const handler = (c: Context): Response =>
      streamSSE(c, async (stream) => {
        await stream.writeSSE({ data: "1" });
        void stream.writeSSE({ data: "2" });
        void stream.writeSSE({ data: Promise.resolve("3") });
        void stream.writeln("data: 4\n");
      });
    const raw = await get(handler);
    expect(await raw.ended).toBe("complete");
    expect(datas(raw)).toEqual(["1", "2", "3", "4"]);
    const inMemory = await collectEvents(await appOf(handler).request("/"));
    expect(inMemory.map(({ data }) => data)).toEqual(["1", "2", "3", "4"]);
  });

  test("with data that comes later keep their order, whichever comes first", async () => {
    const [slow, fast] = [deferred<string>(), deferred<string>()];
    const raw = await get((c) =>
      streamSSE(c, (stream) => {
        void stream.writeSSE({ data: slow.promise });
        void stream.writeSSE({ data: "between" });
        void stream.writeSSE({ data: fast.promise });
        void stream.comment("last");
        fast.resolve("fast");
        setImmediate(() => slow.resolve("slow"));
      }),
    );
    expect(await raw.ended).toBe("complete");
    expect(datas(raw)).toEqual(["slow", "between", "fast"]);
    expect(raw.body.endsWith(": last\n\n")).toBe(true);
  });

  test("one whose data fails is its writer's error alone", async () => {
    const failed = deferred<unknown>();
    const raw = await get((c) =>
      streamSSE(c, async (stream) => {
        stream.writeSSE({ data: Promise.reject(new Error("no data")) }).catch(failed.resolve);
        await stream.writeSSE({ data: "after" });
      }),
    );
    expect(await raw.ended).toBe("complete");
    expect(datas(raw)).toEqual(["after"]);
    expect(await failed.promise).toMatchObject({ message: "no data" });
  });
});

describe("2: a client that left is no secret to the loop", () => {
  test.each([
    ["sleep", async (stream: SSEStreamingApi) => stream.sleep(1)],
    ["send", async (stream: SSEStreamingApi) => stream.send("tick", 1).then(() => turn())],
  ])("an endless loop of writes ends by its %s", async (_name, wait) => {
    const ended = deferred<unknown>();
    const raw = await get((c) =>
      streamSSE(c, async (stream) => {
        try {
          while (true) {
            await stream.writeSSE({ data: "x" });
            await wait(stream);
          }
        } catch (error) {
          ended.resolve(error);
          throw error;
        }
      }),
    );
    await raw.until("data: x");
    raw.destroy();
    expect(await ended.promise).toMatchObject({ code: "STREAM_ENDED" });
    expect(reported).not.toHaveBeenCalled();
  });

  test("a loop that asks `aborted` or `closed` sees it", async () => {
    const ended = deferred();
    const raw = await get((c) =>
      streamSSE(c, async (stream) => {
        while (!stream.aborted && !stream.closed) {
          await stream.writeSSE({ data: "x" });
          await turn();
        }
        ended.resolve();
      }),
    );
    await raw.until("data: x");
    raw.destroy();
    await ended.promise;
  });
});

describe("3: the end reaches the callback", () => {
  test("onAbort fires for handlers that were registered early, and late", async () => {
    const early = vi.fn();
    const streams = deferred<SSEStreamingApi>();
    const raw = await get((c) =>
      streamSSE(c, async (stream) => {
        streams.resolve(stream);
        stream.onAbort(early);
        await forever();
      }),
    );
    const stream = await streams.promise;
    raw.destroy();
    expect(await stream.closeReason).toBe("disconnected");
    expect(early).toHaveBeenCalledTimes(1);
    const late = vi.fn();
    stream.onAbort(late);
    expect(late).toHaveBeenCalledTimes(1);
  });

  test("an onAbort handler that fails neither stops the others nor ends the process", async () => {
    const [streams, second] = [deferred<SSEStreamingApi>(), vi.fn()];
    const raw = await get((c) =>
      streamSSE(c, async (stream) => {
        stream.onAbort(() => {
          throw new Error("first");
        });
        stream.onAbort(() => Promise.reject(new Error("async")));
        stream.onAbort(second);
        streams.resolve(stream);
        await forever();
      }),
    );
    const stream = await streams.promise;
    raw.destroy();
    await stream.closeReason;
    expect(second).toHaveBeenCalledTimes(1);
    await eventually(() => expect(reported).toHaveBeenCalledTimes(2));
  });

  test("there is a signal, and the request's own is aborted too", async () => {
    const signals = deferred<AbortSignal[]>();
    const raw = await get((c) =>
      streamSSE(c, async (stream) => {
        signals.resolve([stream.signal, c.req.raw.signal]);
        await forever();
      }),
    );
    const both = await signals.promise;
    expect(both.map(({ aborted }) => aborted)).toEqual([false, false]);
    raw.destroy();
    await eventually(() => expect(both.map(({ aborted }) => aborted)).toEqual([true, true]));
  });

  test("sleep is broken off", async () => {
    const ended = deferred<unknown>();
    const raw = await get((c) =>
      streamSSE(c, async (stream) => {
        await stream.writeSSE({ data: "asleep" });
        await stream.sleep(2 ** 31 - 1).catch(ended.resolve);
      }),
    );
    await raw.until("asleep");
    raw.destroy();
    expect(await ended.promise).toMatchObject({ code: "STREAM_ENDED" });
  });
});

describe("4: errors", () => {
  const MASKED = {
    event: "error",
    data: '{"code":"INTERNAL_ERROR","message":"Internal error"}',
    lastEventId: "",
  };
  const throwing = (thrown: unknown, onError?: Parameters<typeof streamSSE>[2]): Promise<RawResponse> =>
    get((c) => streamSSE(c, () => Promise.reject(thrown), onError));
  const failing = (onError?: Parameters<typeof streamSSE>[2]): Promise<RawResponse> =>
    throwing(new Error("postgres://secret"), onError);

  test("a throwing onError is contained and reported, and the client is told all the same", async () => {
    for (const onError of [() => Promise.reject(new Error("worse")), () => fail("worse")]) {
      reported.mockClear();
      const raw = await failing(onError);
      expect(await raw.ended).toBe("complete");
      expect(raw.events).toEqual([MASKED]);
      const errors = reported.mock.calls.map((call) => call[1] as Error);
      expect(errors.map(({ message }) => message)).toEqual(["worse", "postgres://secret"]);
    }
  });

  test("the message stays here, with onError and without", async () => {
    for (const onError of [vi.fn(), undefined]) {
      const raw = await failing(onError);
      expect(await raw.ended).toBe("complete");
      expect(raw.body).not.toContain("secret");
      expect(raw.events).toEqual([MASKED]);
    }
  });

  test("an event that onError writes goes out in its place", async () => {
    const own = await failing(async (error, stream) => {
      await stream.writeSSE({ event: "error", data: `told: ${error.message}` });
    });
    await own.ended;
    expect(own.events.map(({ event, data }) => [event, data])).toEqual([
      ["error", "told: postgres://secret"],
    ]);
    const other = await failing((_error, stream) => void stream.send("sorry", { retry: true }));
    await other.ended;
    expect(other.events.map(({ event }) => event)).toEqual(["sorry"]);
  });

  test.each([
    ["a string", "just text"],
    ["undefined", undefined],
    ["an object without a prototype", Object.create(null)],
    ["a symbol", Symbol("s")],
  ])("%s that is thrown reaches onError as an Error, with itself as the cause", async (_name, thrown) => {
    const onError = vi.fn();
    const raw = await throwing(thrown, onError);
    expect(await raw.ended).toBe("complete");
    expect(raw.events).toEqual([MASKED]);
    const [error] = onError.mock.calls[0] as [Error];
    expect(error).toBeInstanceOf(Error);
    expect(error).toMatchObject({ code: "CALLBACK_FAILED" });
    expect(error.cause).toBe(thrown);
  });

  test("without onError the failure is reported, and the client gets more than an empty 200", async () => {
    const raw = await failing();
    expect(await raw.ended).toBe("complete");
    expect(raw.events).toEqual([MASKED]);
    expect(reported).toHaveBeenCalledExactlyOnceWith(expect.any(String), new Error("postgres://secret"));
  });

  test("a callback that throws before its first await is no different", async () => {
    const raw = await get((c) => streamSSE(c, () => fail("at once")));
    expect(await raw.ended).toBe("complete");
    expect(raw.events).toEqual([MASKED]);
  });
});

describe("5: HEAD, clones and tags", () => {
  test("HEAD runs no callback and leaks nothing", async () => {
    const callback = vi.fn();
    const app = appOf((c) => streamSSE(c, callback));
    const raw = await rawRequest(await serve(app), "/", { method: "HEAD" });
    expect(raw.headers["content-type"]).toBe("text/event-stream");
    expect((await app.request("/", { method: "HEAD" })).status).toBe(200);
    expect(callback).not.toHaveBeenCalled();
    expect(pulseSize()).toBe(0);
  });

  test("a clone in middleware hides no disconnect, read or not", async () => {
    for (const readClone of [true, false]) {
      const [reasons, copies] = [deferred<CloseReason>(), deferred<Promise<string>>()];
      const app = new Hono();
      app.use(async (c, next) => {
        await next();
        const clone = c.res.clone();
        copies.resolve(readClone ? clone.text().catch(String) : Promise.resolve(""));
      });
      app.get("/", (c) =>
        streamSSE(c, async (stream) => {
          void stream.closeReason.then(reasons.resolve);
          for (let count = 0; ; count++) {
            await stream.writeSSE({ data: `${count}` });
            await stream.sleep(1);
          }
        }),
      );
      const raw = await get(app);
      await raw.until("data: 5\n");
      raw.destroy();
      expect(await reasons.promise).toBe("disconnected");
      expect(datas(raw).slice(0, 3)).toEqual(["0", "1", "2"]);
      await copies.promise;
    }
  });

  test("etag() does not hold the stream back, and gives no two streams the same tag", async () => {
    const app = new Hono();
    app.use(etag());
    app.get("/", (c) =>
      streamSSE(c, async (stream) => {
        await stream.writeSSE({ data: "1" });
        await forever();
      }),
    );
    const server = await serve(app);
    const first = await rawRequest(server);
    await first.until("data: 1");
    const tag = first.headers.etag as string;
    const second = await rawRequest(server, "/", { headers: { "If-None-Match": tag } });
    expect(second.status).toBe(200);
    await second.until("data: 1");
    expect(second.headers.etag).not.toBe(tag);
  });
});

describe("6: HTTP/2", () => {
  test("works, without a header that it forbids, and sees the client leave", async () => {
    const reasons = deferred<CloseReason>();
    const app = appOf((c) =>
      streamSSE(c, async (stream) => {
        void stream.closeReason.then(reasons.resolve);
        await stream.writeSSE({ data: "over h2" });
        await forever();
      }),
    );
    const server = createAdaptorServer({ fetch: app.fetch, createServer: createHttp2Server });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { connect } = await import("node:http2");
    const session = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const request = session.request({ ":path": "/" });
    const head = await new Promise<Record<string, unknown>>((resolve) => request.once("response", resolve));
    expect(head[":status"]).toBe(200);
    expect(Object.keys(head)).not.toEqual(
      expect.arrayContaining([expect.stringMatching(/^(connection|keep-alive|transfer-encoding|upgrade)$/)]),
    );
    let body = "";
    request.on("data", (bytes: Buffer) => {
      body += bytes.toString();
    });
    await eventually(() => expect(body).toContain("data: over h2\n\n"));
    request.close();
    expect(await reasons.promise).toBe("disconnected");
    session.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
});

describe("7: what goes into a field", () => {
  const written = async (message: SSEMessage): Promise<{ error: unknown; raw: RawResponse }> => {
    let error: unknown;
    const raw = await get((c) =>
      streamSSE(c, async (stream) => {
        await stream.writeSSE(message).catch((reason: unknown) => {
          error = reason;
        });
        await stream.writeSSE({ data: "after" });
      }),
    );
    await raw.ended;
    return { error, raw };
  };

  test.each([
    ["retry NaN", { data: "x", retry: Number.NaN }],
    ["a negative retry", { data: "x", retry: -1 }],
    ["a retry with a fraction", { data: "x", retry: 1.5 }],
    ["a retry that is text", { data: "x", retry: "5\ndata: forged" as unknown as number }],
    ["an id with NUL", { data: "x", id: "a\0b" }],
    ["an id with a line feed", { data: "x", id: "a\ndata: forged" }],
    ["an event type with a carriage return", { data: "x", event: "a\rdata: forged" }],
  ])("%s is refused with a code, and nothing of the event goes out", async (_name, message) => {
    const { error, raw } = await written(message);
    expect(error).toMatchObject({ code: "INVALID_EVENT" });
    expect(datas(raw)).toEqual(["after"]);
    expect(raw.body).not.toContain("forged");
  });

  test("an event type that is everstream's own is refused", async () => {
    const { error } = await written({ data: "x", event: "sse:gap" });
    expect(error).toMatchObject({ code: "RESERVED_TYPE" });
  });

  test.each<[string, unknown, string]>([
    ["an object", { a: [1, null] }, '{"a":[1,null]}'],
    ["an array", [1, 2], "[1,2]"],
    ["a number", 7, "7"],
    ["false", false, "false"],
    ["a promise of an object", Promise.resolve({ b: 1 }), '{"b":1}'],
    ["what has a text form of its own", new URL("http://a/b"), "http://a/b"],
  ])("data that is %s is sent", async (_name, data, text) => {
    const { error, raw } = await written({ data: data as string });
    expect(error).toBeUndefined();
    expect(datas(raw)).toEqual([text, "after"]);
  });

  test.each<[string, unknown]>([
    ["a function", () => undefined],
    ["a symbol", Symbol("s")],
    ["an object that holds itself", circular()],
    ["a big integer", 1n],
  ])("data that is %s has no form, and is refused", async (_name, data) => {
    const { error, raw } = await written({ data: data as string });
    expect(error).toMatchObject({ code: "NOT_SERIALIZABLE" });
    expect(datas(raw)).toEqual(["after"]);
  });
});

describe("8: clients that stall, servers that close", () => {
  const LINE = `${"x".repeat(65_535)}\n`;

  test("a stalled client hangs no awaited write: it is cut off", async () => {
    const [reasons, done] = [deferred<CloseReason>(), deferred()];
    const raw = await get((c) =>
      streamSSE(
        c,
        async (stream) => {
          void stream.closeReason.then(reasons.resolve);
          while (!stream.closed) await stream.write(LINE);
          done.resolve();
        },
        undefined,
        { stallTimeout: 200 },
      ),
    );
    raw.pause();
    expect(await reasons.promise).toBe("stalled");
    await done.promise;
  });

  test("un-awaited writes to it are bounded", async () => {
    const reasons = deferred<CloseReason>();
    let written = 0;
    const raw = await get((c) =>
      streamSSE(
        c,
        async (stream) => {
          void stream.closeReason.then(reasons.resolve);
          for (; !stream.closed; written += LINE.length) {
            void stream.write(LINE);
            await turn();
          }
        },
        undefined,
        { maxPendingBytes: 1024 * 1024, stallTimeout: 0 },
      ),
    );
    raw.pause();
    expect(await reasons.promise).toBe("slow");
    expect(written).toBeLessThan(24 * 1024 * 1024);
  });

  test("server.close() ends its streams, and itself", async () => {
    const reasons = deferred<CloseReason>();
    const server = await serve((c) =>
      streamSSE(c, async (stream) => {
        void stream.closeReason.then(reasons.resolve);
        await forever();
      }),
    );
    const raw = await rawRequest(server);
    await raw.until(": everstream");
    await new Promise((resolve) => server.server.close(resolve));
    expect(await reasons.promise).toBe("drained");
    expect(await raw.ended).toBe("complete");
  });
});

describe("9: heartbeat, comments, cursor, headers", () => {
  test("an idle stream has a heartbeat", async () => {
    const raw = await get((c) => streamSSE(c, forever, undefined, { heartbeat: 50 }));
    await raw.until("\n\n:\n\n:\n\n");
    expect(raw.events).toEqual([]);
  });

  test("comments can be written, and forge nothing", async () => {
    const raw = await get((c) => streamSSE(c, (stream) => stream.comment("a\ndata: forged\r\rb")));
    await raw.ended;
    expect(raw.events).toEqual([]);
    expect(raw.comments.slice(1)).toEqual(["a", "data: forged", "", "b"]);
  });

  test("the client's Last-Event-ID is at hand, from its header or its query", async () => {
    const seen: unknown[] = [];
    const server = await serve((c) => streamSSE(c, (stream) => void seen.push(stream.lastEventId)));
    await (await rawRequest(server)).ended;
    await (
      await rawRequest(server, "/", { headers: { "Last-Event-ID": Buffer.from("é-1").toString("latin1") } })
    ).ended;
    await (await rawRequest(server, "/?a=1&lastEventId=e-2")).ended;
    await (await rawRequest(server, "/?lastEventId=old", { headers: { "Last-Event-ID": "new" } })).ended;
    expect(seen).toEqual([undefined, "é-1", "e-2", "new"]);
  });

  test("no proxy is allowed to hold the stream back", async () => {
    const raw = await get((c) => streamSSE(c, forever));
    expect(raw.headers).toMatchObject({
      "content-type": "text/event-stream",
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
    });
  });

  test("headers, status and cookies of the user are kept", async () => {
    const app = new Hono();
    app.use(async (c, next) => {
      c.header("X-Before", "1");
      await next();
      c.header("X-After", "2");
      c.res.headers.append("Set-Cookie", "late=1");
    });
    app.get("/", (c) => {
      c.header("Cache-Control", "private, no-store, no-transform");
      c.header("Content-Type", "text/event-stream; charset=utf-8");
      c.header("X-Accel-Buffering", "yes");
      c.header("Set-Cookie", "early=1", { append: true });
      c.status(203);
      return streamSSE(c, (stream) => stream.send("x"));
    });
    const raw = await get(app);
    await raw.ended;
    expect(raw.status).toBe(203);
    expect(raw.headers).toMatchObject({
      "cache-control": "private, no-store, no-transform",
      "content-type": "text/event-stream; charset=utf-8",
      "x-accel-buffering": "yes",
      "x-before": "1",
      "x-after": "2",
      "set-cookie": "early=1, late=1",
    });
  });

  test("a content type that is none of an event stream's is not kept, since clients would refuse it", async () => {
    const raw = await get((c) => {
      c.header("Content-Type", "text/plain");
      return streamSSE(c, forever);
    });
    expect(raw.headers["content-type"]).toBe("text/event-stream");
  });
});

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function fail(message: string): never {
  throw new Error(message);
}

function circular(): unknown {
  const object: Record<string, unknown> = {};
  object.self = object;
  return object;
}
