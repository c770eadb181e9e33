// Failures that users of other libraries met on their servers, each by its name and where it was reported. What is
// promised in their place is held against every way of serving by the suites beside this one; here each stands alone.
import { createServer as createHttp2Server } from "node:http2";
import { createAdaptorServer, getRequestListener } from "@hono/node-server";
import { type CloseReason, closeStreams, streamEvents } from "everstream";
import { type SSEStreamingApi, type StreamSSEOptions, streamSSE } from "everstream/hono";
import { streamSSE as streamNode } from "everstream/node";
import { connectRaw, rawRequest, serveForTest, type TestServer } from "everstream/testing";
import { Hono } from "hono";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { pulseSize } from "../../src/session/pulse.ts";
import { deferred } from "../session/deferred.ts";
import { eventually } from "../session/eventually.ts";
import { collectGarbage } from "../session/garbage.ts";

const LINE = `${"x".repeat(65_535)}\n`;
/** More than any kernel takes in a stalled client's place. */
const MUCH = 24 * 1024 * 1024;

const servers: TestServer[] = [];
const unhandled = vi.fn();

beforeEach(() => {
  unhandled.mockClear();
  process.on("unhandledRejection", unhandled);
});

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
  await eventually(() => expect(pulseSize()).toBe(0));
  process.off("unhandledRejection", unhandled);
  expect(unhandled).not.toHaveBeenCalled();
});

const forever = (): Promise<never> => new Promise(() => undefined);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Serves a callback by Hono, under Node. */
async function serve(
  callback: (stream: SSEStreamingApi) => void | Promise<void>,
  options?: StreamSSEOptions,
): Promise<TestServer> {
  const app = new Hono().all("/", (c) => streamSSE(c, callback, undefined, options));
  return listen(getRequestListener(app.fetch));
}

async function listen(...args: Parameters<typeof serveForTest>): Promise<TestServer> {
  const server = await serveForTest(...args);
  servers.push(server);
  return server;
}

/** A stream that stays open, and how it ended. */
async function openStream(options?: StreamSSEOptions) {
  const [reason, streams] = [deferred<CloseReason>(), deferred<SSEStreamingApi>()];
  const server = await serve((stream) => {
    void stream.closeReason.then(reason.resolve);
    streams.resolve(stream);
    return forever();
  }, options);
  const raw = await rawRequest(server);
  await raw.until(": everstream");
  return { server, raw, reason: reason.promise, stream: await streams.promise };
}

describe("disconnects", () => {
  // honojs/hono#1770, #2049; cloudflare/workerd#4185, #4638; oven-sh/bun#41011
  test("differ by runtime, or are never seen", async () => {
    const reasons: Promise<CloseReason>[] = [];
    const callback = (stream: SSEStreamingApi): Promise<never> => {
      reasons.push(stream.closeReason);
      return forever();
    };
    const hono = await rawRequest(await serve(callback));
    const node = await rawRequest(await listen((req, res) => streamNode(req, res, callback)));
    const bridged = await rawRequest(await listen({ fetch: (request) => streamEvents(request, callback) }));
    const controller = new AbortController();
    streamEvents(new Request("http://test/", { signal: controller.signal }), callback);
    const cancelled = streamEvents(new Request("http://test/"), callback);
    for (const raw of [hono, node, bridged]) raw.destroy();
    controller.abort();
    await cancelled.body?.cancel();
    const gone: CloseReason = "disconnected";
    expect(await Promise.all(reasons)).toEqual([gone, gone, gone, gone, "cancelled"]);
  });

  // dust-tt/dust#24357: 24,000 leaked connections
  test("are missed once the request's body was read", async () => {
    const reason = deferred<CloseReason>();
    const app = new Hono().post("/", async (c) => {
      expect(await c.req.json()).toEqual({ a: 1 });
      return streamSSE(c, (stream) => {
        void stream.closeReason.then(reason.resolve);
        return forever();
      });
    });
    const server = await listen(getRequestListener(app.fetch));
    const raw = await rawRequest(server, "/", { method: "POST", body: '{"a":1}' });
    await raw.until(": everstream");
    raw.destroy();
    expect(await reason.promise).toBe("disconnected");
  });

  // modelcontextprotocol/inspector#1999, nestjs/nest#17017
  test("are missed by a listener that was added after the abort", async () => {
    const { raw, reason, stream } = await openStream();
    raw.destroy();
    await reason;
    const onAbort = vi.fn();
    stream.onAbort(onAbort);
    expect(onAbort).toHaveBeenCalledTimes(1);
    expect(stream.signal.aborted).toBe(true);
  });

  // SkillfulAgents/SuperAgent#757
  test("leave callback and timer behind where a promise never settles", async () => {
    let reference: WeakRef<object> | undefined;
    const server = await serve(async (stream) => {
      const held = { stream };
      reference = new WeakRef(held);
      const timer = setInterval(() => void stream.writeSSE({ data: String(held) }), 60_000);
      stream.onAbort(() => clearInterval(timer));
      await forever();
      await stream.writeSSE({ data: String(held) });
    });
    const raw = await rawRequest(server);
    await raw.until(": everstream");
    raw.destroy();
    await eventually(async () => {
      await collectGarbage();
      expect(reference?.deref()).toBeUndefined();
    });
  });

  // middleapi/orpc#1309, elysiajs/elysia#1768
  test("do not reach a source that is waiting for its next value", async () => {
    const released = deferred();
    const server = await serve(async (stream) => {
      await stream.pipe(new ReadableStream({ pull: forever, cancel: () => released.resolve() }));
    });
    const raw = await rawRequest(server);
    await raw.until(": everstream");
    raw.destroy();
    await released.promise;
  });
});

describe("heartbeats", () => {
  // middleapi/orpc#463, inngest/inngest-js#1475
  test("crash Node after the end", async () => {
    const { raw, reason, stream } = await openStream({ heartbeat: 100 });
    const timer = setInterval(async () => {
      await stream.writeSSE({ event: "heartbeat", data: "" });
    }, 1);
    raw.destroy();
    await reason;
    for (let count = 0; count < 20; count++) await new Promise((resolve) => setTimeout(resolve, 1));
    clearInterval(timer);
  });

  // vercel/ai#17805, #9655; h3js/h3#1168; nestjs/nest#17274
  test("are missing, and so is the first flush", async () => {
    const { raw } = await openStream({ heartbeat: 100 });
    await raw.until("\n\n:\n\n");
  });

  // twentyhq/twenty#21061
  test("as comments can't be seen by a native client", async () => {
    const { raw } = await openStream({ heartbeat: { event: "heartbeat", every: 100 } });
    await raw.until(({ events }) => events.some(({ event }) => event === "heartbeat"));
  });
});

describe("clients that stall", () => {
  // HenryLach/taskplane#664, sysid/sse-starlette#89, oven-sh/bun#32469, anomalyco/opencode#31923, #19423
  test("grow memory until the process dies", async () => {
    const { raw, reason, stream } = await openStream({ maxPendingBytes: 1024 * 1024 });
    raw.pause();
    let written = 0;
    for (; !stream.closed && written < MUCH; written += LINE.length) {
      void stream.write(LINE);
      await turn();
    }
    expect(written).toBeLessThan(MUCH);
    expect(await reason).toBe("slow");
  });

  // fastagent-sh/fastagent#37
  test("hang a writer that waits for `drain` when the socket closes", async () => {
    const { raw, reason, stream } = await openStream({ stallTimeout: 0 });
    raw.pause();
    const server = servers.at(-1);
    const writing = (async () => {
      while (!stream.closed) await stream.write(LINE);
    })();
    await eventually(() => {
      for (const socket of server?.sockets ?? []) expect(socket.writableNeedDrain).toBe(true);
    });
    raw.destroy();
    await writing;
    expect(await reason).toBe("disconnected");
  });

  // dhyansraj/mcp-mesh#1567, #1620
  test("are cut off though healthy, since `write()` returned false", async () => {
    const { raw, reason, stream } = await openStream();
    raw.pause();
    const writing = (async () => {
      for (let written = 0; written < MUCH; written += LINE.length) await stream.write(LINE);
      await stream.close();
    })();
    const server = servers.at(-1);
    await eventually(() => {
      for (const socket of server?.sockets ?? []) expect(socket.writableNeedDrain).toBe(true);
    });
    raw.resume();
    await writing;
    expect(await raw.ended).toBe("complete");
    expect(raw.body.length).toBeGreaterThan(MUCH);
    expect(await reason).toBe("finished");
  });

  // r3labs/sse#192
  test("block all the others", async () => {
    const { server, raw, stream } = await openStream({ stallTimeout: 0 });
    raw.pause();
    let written = 0;
    const writing = (async () => {
      for (; !stream.closed; written += LINE.length) await stream.write(LINE);
    })();
    await eventually(() => expect(written).toBeGreaterThan(1024 * 1024));
    await (await rawRequest(server)).until(": everstream");
    raw.destroy();
    await writing;
  });
});

describe("what stands in between", () => {
  // hono#3833, graphql-hive/gateway#2259, cloudflare/cloudflared#1496
  test("holds events back without a word", async () => {
    const { raw } = await openStream();
    expect(raw.headers["cache-control"]).toMatch(/\bno-transform\b/);
    expect(raw.headers["x-accel-buffering"]).toBe("no");
  });

  // hono#4041
  test("refuses hop-by-hop headers on HTTP/2", async () => {
    const app = new Hono().get("/", (c) => streamSSE(c, (stream) => stream.send("x")));
    const server = createAdaptorServer({ fetch: app.fetch, createServer: createHttp2Server });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { connect } = await import("node:http2");
    const session = connect(`http://127.0.0.1:${(server.address() as { port: number }).port}`);
    const request = session.request({ ":path": "/" });
    let text = "";
    for await (const part of request.setEncoding("utf8")) text += String(part);
    expect(text).toContain("event: x\n");
    session.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
});

// hono#5299, mpetrunic/fastify-sse-v2#110, rexxars/sse-channel#42
test("newlines in `id`, `event` or `data` forge events", async () => {
  const refused: unknown[] = [];
  const server = await serve(async (stream) => {
    const note = ({ code }: { code: string }): void => void refused.push(code);
    for (const end of ["\n", "\r", "\r\n"]) {
      const forged = `x${end}data: forged${end}${end}`;
      await stream.writeSSE({ data: "1", id: forged }).catch(note);
      await stream.writeSSE({ data: "2", event: forged }).catch(note);
      await stream.writeSSE({ data: forged });
      await stream.comment(forged);
    }
  });
  const raw = await rawRequest(server);
  await raw.ended;
  expect(refused).toEqual(Array(6).fill("INVALID_EVENT"));
  expect(raw.events.map(({ data }) => data)).toEqual(Array(3).fill("x\ndata: forged\n\n"));
});

// mastra-ai/mastra#22097
test("a failure in mid-stream looks like success", async () => {
  vi.spyOn(console, "error").mockImplementationOnce(() => undefined);
  const server = await serve(async (stream) => {
    await stream.writeSSE({ event: "token", data: "so f" });
    throw new Error("the provider is down");
  });
  const raw = await rawRequest(server);
  await raw.ended;
  expect(raw.events.map(({ event }) => event)).toEqual(["token", "error"]);
});

describe("shutting down", () => {
  // nestjs/nest#6643, #9517
  test("hangs on open streams", async () => {
    const { server, raw, reason } = await openStream();
    const connection = await connectRaw(server);
    await (await connection.request("/", { method: "HEAD" })).ended;
    await new Promise((resolve) => server.server.close(resolve));
    expect(await reason).toBe("drained");
    expect(await raw.ended).toBe("complete");
  });

  // block/buzz#4542, dust-tt/dust#19917
  test("brings all clients back at once", async () => {
    const server = await serve(forever);
    const clients = await Promise.all(Array.from({ length: 20 }, () => rawRequest(server)));
    await Promise.all(clients.map((raw) => raw.until(": everstream")));
    await closeStreams();
    await Promise.all(clients.map((raw) => raw.ended));
    const times = clients.map(({ body }) => Number(/retry: (\d+)\n/.exec(body)?.[1]));
    expect(new Set(times).size).toBeGreaterThan(10);
  });
});
