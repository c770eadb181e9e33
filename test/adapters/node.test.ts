// The Node adapter among the servers and the clients that it meets.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { connect as connectHttp2, constants, createServer as createHttp2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import compression from "compression";
import { type CloseReason, createHub, type EventStreamWriter } from "everstream";
import { streamSSE, streamTopics } from "everstream/node";
import { connectRaw, rawRequest, serveForTest, type TestServer } from "everstream/testing";
import express from "express";
import fastify from "fastify";
import { afterEach, describe, expect, test, vi } from "vitest";
import { pulseSize } from "../../src/session/pulse.ts";
import { deferred } from "../session/deferred.ts";
import { eventually } from "../session/eventually.ts";

const servers: Pick<TestServer, "close">[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
  await eventually(() => expect(pulseSize()).toBe(0));
});

async function serve(...args: Parameters<typeof serveForTest>): Promise<TestServer> {
  const server = await serveForTest(...args);
  servers.push(server);
  return server;
}

/** A callback that counts to three, one event in each turn. */
async function countToThree(stream: EventStreamWriter): Promise<void> {
  for (const count of [1, 2, 3]) {
    await stream.writeSSE({ data: `${count}` });
    await stream.sleep(1);
  }
}

/** A callback that stays open, and a promise of its end. */
function openEnded(): {
  callback: (stream: EventStreamWriter) => Promise<void>;
  reason: Promise<CloseReason>;
} {
  const reason = deferred<CloseReason>();
  return {
    reason: reason.promise,
    callback: async (stream) => {
      void stream.closeReason.then(reason.resolve);
      await stream.writeSSE({ data: "open" });
      await new Promise(() => undefined);
    },
  };
}

const dataOf = ({ events }: { events: { data: string }[] }): string[] => events.map(({ data }) => data);

describe("headers", () => {
  test("those set before are kept, but for a content type that no client would take", async () => {
    const server = await serve((req, res) => {
      res.statusCode = 203;
      res.setHeader("Cache-Control", "no-store");
      res.setHeader("X-Mine", ["1", "2"]);
      res.setHeader("Content-Type", "text/plain");
      streamSSE(req, res, countToThree);
    });
    const raw = await rawRequest(server);
    await raw.ended;
    expect(raw.status).toBe(203);
    expect(raw.headers).toMatchObject({
      "cache-control": "no-store",
      "x-mine": "1, 2",
      "content-type": "text/event-stream",
      "x-accel-buffering": "no",
    });
  });

  test("a content type that is an event stream's is kept as it was set", async () => {
    const server = await serve((req, res) => {
      res.setHeader("Content-Type", "text/event-stream; charset=utf-8");
      streamSSE(req, res, countToThree);
    });
    expect((await rawRequest(server)).headers["content-type"]).toBe("text/event-stream; charset=utf-8");
  });

  test("a wrong option is told before anything is sent", async () => {
    const server = await serve((req, res) => {
      try {
        streamSSE(req, res, countToThree, { heartbeat: -1 });
      } catch (error) {
        res.writeHead(500).end(String(error));
      }
    });
    const raw = await rawRequest(server);
    expect(raw.status).toBe(500);
    expect(await raw.until("heartbeat")).toContain("must be a number");
  });
});

describe("connections", () => {
  test("one that was kept alive serves the next stream, and whatever comes after", async () => {
    const server = await serve((req, res) =>
      req.url === "/plain" ? void res.end("plain") : streamSSE(req, res, countToThree),
    );
    const connection = await connectRaw(server);
    for (let round = 0; round < 3; round++) {
      const stream = await connection.request("/stream");
      expect(await stream.ended).toBe("complete");
      expect(dataOf(stream)).toEqual(["1", "2", "3"]);
      const plain = await connection.request("/plain");
      await plain.ended;
      expect(plain.body).toBe("plain");
    }
    expect(server.sockets.size).toBe(1);
    // What a stream leaves on a connection that lives on would add up.
    const [socket] = server.sockets;
    const listeners = (): number[] =>
      ["drain", "close", "error"].map((name) =>
        (socket as typeof server.sockets extends ReadonlySet<infer S> ? S : never).listenerCount(name),
      );
    const before = listeners();
    await (await connection.request("/stream")).ended;
    expect(listeners()).toEqual(before);
    connection.socket.destroy();
  });

  test("pipelined requests are answered one after the other, streams among them", async () => {
    const server = await serve((req, res) =>
      req.url === "/plain" ? void res.end("plain") : streamSSE(req, res, countToThree),
    );
    const connection = await connectRaw(server);
    const responses = await Promise.all(
      ["/stream", "/stream", "/plain", "/stream"].map((path) => connection.request(path)),
    );
    expect(await Promise.all(responses.map(({ ended }) => ended))).toEqual(Array(4).fill("complete"));
    expect(responses.map(dataOf)).toEqual([["1", "2", "3"], ["1", "2", "3"], [], ["1", "2", "3"]]);
    connection.socket.destroy();
  });

  test("a client that leaves with a stream behind another is seen in both", async () => {
    const [first, second] = [openEnded(), openEnded()];
    const server = await serve((req, res) =>
      streamSSE(req, res, req.url === "/first" ? first.callback : second.callback),
    );
    const connection = await connectRaw(server);
    const response = await connection.request("/first");
    connection.request("/second").catch(() => undefined);
    await response.until("open");
    await eventually(() => expect(pulseSize()).toBe(2));
    connection.socket.destroy();
    expect(await Promise.all([first.reason, second.reason])).toEqual(["disconnected", "disconnected"]);
  });

  test("a client that left while a stream behind another was being opened is seen", async () => {
    const hub = createHub();
    const first = openEnded();
    let allow: (verdict: boolean) => void = () => undefined;
    const verdict = new Promise<boolean>((resolve) => {
      allow = resolve;
    });
    const opened: Promise<void>[] = [];
    const server = await serve((req, res) => {
      if (req.url === "/first") streamSSE(req, res, first.callback);
      else opened.push(streamTopics(req, res, hub, { topics: "t", authorize: () => verdict }));
    });
    const connection = await connectRaw(server);
    await (await connection.request("/first")).until("open");
    connection.request("/second").catch(() => undefined);
    await eventually(() => expect(opened).toHaveLength(1));
    connection.socket.destroy();
    expect(await first.reason).toBe("disconnected");
    allow(true);
    await Promise.all(opened);
    await eventually(() => expect(hub.stats()).toMatchObject({ sessions: 0, closed: { disconnected: 1 } }));
    await hub.close();
  });

  test("a client that asks for ever more streams behind one without an end is cut off, and none is left", async () => {
    const warned = vi.spyOn(process, "emitWarning");
    const reasons: string[] = [];
    const server = await serve((req, res) => {
      streamSSE(req, res, async (stream) => {
        reasons.push(await stream.closeReason);
      });
    });
    const { socket } = await connectRaw(server);
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.on("error", () => undefined).resume();
    socket.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1000));
    await closed;
    await eventually(() => expect(pulseSize()).toBe(0));
    expect(reasons.length).toBeGreaterThan(100);
    expect(new Set(reasons)).toEqual(new Set(["disconnected"]));
    expect(warned).not.toHaveBeenCalled();
    warned.mockRestore();
  });

  test("a client of HTTP/1.0 gets the stream without chunks, ended by the connection's end", async () => {
    const server = await serve((req, res) => streamSSE(req, res, countToThree));
    const raw = await rawRequest(server, "/", { httpVersion: "1.0" });
    expect(await raw.ended).toBe("complete");
    expect(raw.headers).not.toHaveProperty("transfer-encoding");
    expect(raw.body).toBe(": everstream heartbeat=15000\n\ndata: 1\n\ndata: 2\n\ndata: 3\n\n");
  });

  test("a client that sends its end has left, as far as Node is concerned", async () => {
    const { callback, reason } = openEnded();
    const server = await serve((req, res) => streamSSE(req, res, callback));
    const raw = await rawRequest(server);
    await raw.until("open");
    raw.halfClose();
    expect(await reason).toBe("disconnected");
  });

  test("a client that left before the stream began is seen", async () => {
    const { callback, reason } = openEnded();
    const server = await serve((req, res) => {
      res.once("close", () => streamSSE(req, res, callback));
    });
    const connection = await connectRaw(server);
    connection.request("/").catch(() => undefined);
    await eventually(() => expect(server.sockets.size).toBe(1));
    await new Promise((resolve) => setImmediate(resolve));
    connection.socket.destroy();
    expect(await reason).toBe("disconnected");
  });

  test("the request's body may have been read before: what counts is the response's close", async () => {
    const { callback, reason } = openEnded();
    const server = await serve(async (req, res) => {
      let body = "";
      for await (const part of req) body += String(part);
      expect(body).toBe("the whole body");
      streamSSE(req, res, callback);
    });
    const raw = await rawRequest(server, "/", { method: "POST", body: "the whole body" });
    await raw.until("open");
    expect(pulseSize()).toBe(1);
    raw.destroy();
    expect(await reason).toBe("disconnected");
  });
});

describe("responses that others touch", () => {
  test("one that nobody touches costs one write to its socket for all of a turn", async () => {
    const writes: string[] = [];
    const server = await serve((req, res) => {
      const { socket } = req;
      const write = socket.write.bind(socket) as (data: Uint8Array | string) => boolean;
      socket.write = (data: Uint8Array | string) => {
        writes.push(Buffer.from(data as Uint8Array).toString());
        return write(data);
      };
      streamSSE(req, res, countToThree);
    });
    await (await rawRequest(server)).ended;
    const [head, ...rest] = writes;
    expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
    const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
    expect(rest.slice(-3)).toEqual([chunk("data: 2\n\n"), chunk("data: 3\n\n"), "0\r\n\r\n"]);
    expect(rest.slice(0, -3)).toEqual([chunk(": everstream heartbeat=15000\n\ndata: 1\n\n")]);
  });

  test("one that somebody else ends takes no byte after its end, and the connection stays usable", async () => {
    const written = deferred();
    const server = await serve((req, res) => {
      if (req.url === "/next") return void res.end("next");
      streamSSE(req, res, async (stream) => {
        await stream.writeSSE({ data: "before" });
        await stream.sleep(1);
        res.end();
        await stream.writeSSE({ data: "after" });
        await stream.write(new TextEncoder().encode("data: after\n\n"));
        await new Promise((resolve) => setImmediate(resolve));
        written.resolve();
      });
    });
    const connection = await connectRaw(server);
    const raw = await connection.request("/");
    expect(await raw.ended).toBe("complete");
    await written.promise;
    expect(dataOf(raw)).toEqual(["before"]);
    const next = await connection.request("/next");
    await next.until("next");
    expect(connection.socket.errored).toBeNull();
    connection.socket.destroy();
  });

  test("a patched write that throws ends its own stream, and no other's turn", async () => {
    const [broken, sound] = [openEnded(), openEnded()];
    const server = await serve((req, res) => {
      if (req.url === "/sound") return streamSSE(req, res, sound.callback);
      res.write = () => {
        throw new Error("the middleware has broken down");
      };
      streamSSE(req, res, broken.callback);
    });
    const [, other] = await Promise.all([
      rawRequest(server, "/broken").catch(() => undefined),
      rawRequest(server, "/sound"),
    ]);
    expect(await broken.reason).toBe("write-failed");
    await other.until("open");
    other.destroy();
    expect(await sound.reason).toBe("disconnected");
  });

  test("an error of the response is a failed write", async () => {
    const { callback, reason } = openEnded();
    let response: ServerResponse | undefined;
    const server = await serve((req, res) => {
      response = res;
      streamSSE(req, res, callback);
    });
    const raw = await rawRequest(server);
    await raw.until("open");
    response?.emit("error", new Error("broken pipe"));
    expect(await reason).toBe("write-failed");
    // One that comes later must not end the process.
    response?.emit("error", new Error("broken pipe"));
  });

  test("a write that fails in the socket is an end that is seen", async () => {
    const { callback, reason } = openEnded();
    const server = await serve((req, res) => streamSSE(req, res, callback));
    const raw = await rawRequest(server);
    await raw.until("open");
    for (const socket of server.sockets) socket.destroy(new Error("EPIPE"));
    expect(["disconnected", "write-failed"]).toContain(await reason);
  });
});

describe("Express", () => {
  test("events go out one by one, with compression() and its flush before", async () => {
    const steps = [deferred(), deferred()];
    const { callback, reason } = openEnded();
    const app = express();
    app.use(compression({ filter: () => true, threshold: 0 }));
    app.get("/stream", (req, res) =>
      streamSSE(req, res, async (stream) => {
        for (const [index, { promise }] of steps.entries()) {
          await promise;
          await stream.writeSSE({ data: `${index}` });
        }
        await callback(stream);
      }),
    );
    const server = await serve(app);
    const raw = await rawRequest(server, "/stream", { headers: { "Accept-Encoding": "gzip" } });
    await raw.until(": everstream");
    expect(raw.headers).not.toHaveProperty("content-encoding");
    for (const [index, step] of steps.entries()) {
      step.resolve();
      await raw.until(`data: ${index}\n\n`);
    }
    raw.destroy();
    expect(await reason).toBe("disconnected");
  });

  test("where a handler allows compression, each event is flushed through it", async () => {
    const app = express();
    app.use(compression({ filter: () => true, threshold: 0 }));
    app.get("/", (req, res) => {
      res.setHeader("Cache-Control", "no-cache");
      streamSSE(req, res, async (stream) => {
        await stream.writeSSE({ data: "compressed" });
        await new Promise(() => undefined);
      });
    });
    const server = await serve(app);
    const response = await fetch(server.url, { headers: { "Accept-Encoding": "gzip" } });
    expect(response.headers.get("content-encoding")).toBe("gzip");
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    let text = "";
    while (!text.includes("data: compressed\n\n")) {
      const { value } = await reader.read();
      text += new TextDecoder().decode(value);
    }
    await reader.cancel();
  });

  test("behind routers, JSON bodies and late headers it is as on a bare server", async () => {
    const app = express();
    app.use(express.json());
    const router = express.Router();
    router.post("/work", (req, res) => {
      res.setHeader("X-Job", String((req.body as { job: number }).job));
      streamSSE(req, res, countToThree);
    });
    app.use("/api", router);
    const server = await serve(app);
    const raw = await rawRequest(server, "/api/work", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: '{"job":7}',
    });
    expect(await raw.ended).toBe("complete");
    expect(raw.headers["x-job"]).toBe("7");
    expect(dataOf(raw)).toEqual(["1", "2", "3"]);
  });
});

describe("Fastify", () => {
  test("a hijacked reply streams, keeps its headers, and sees its client leave", async () => {
    const { callback, reason } = openEnded();
    const app = fastify();
    app.get("/open", (request, reply) => {
      reply.hijack();
      reply.raw.setHeader("X-Request", request.id);
      streamSSE(request.raw, reply.raw, callback);
    });
    app.get("/count", (request, reply) => {
      reply.hijack();
      streamSSE(request.raw, reply.raw, countToThree);
    });
    await app.ready();
    const server = await serve(app.server);
    const counted = await rawRequest(server, "/count");
    expect(await counted.ended).toBe("complete");
    expect(dataOf(counted)).toEqual(["1", "2", "3"]);
    const raw = await rawRequest(server, "/open");
    await raw.until("open");
    expect(raw.headers["x-request"]).toMatch(/^req-/);
    raw.destroy();
    expect(await reason).toBe("disconnected");
    await app.close();
  });
});

describe("HTTP/2", () => {
  test("many streams of one connection end one by one, and all with it", async () => {
    const reasons = new Map<string, CloseReason>();
    const server = createHttp2Server((req, res) =>
      streamSSE(req, res, async (stream) => {
        void stream.closeReason.then((reason) => reasons.set(req.url, reason));
        if (req.url === "/count") return countToThree(stream);
        await stream.writeSSE({ data: "open" });
        await new Promise(() => undefined);
      }),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const session = connectHttp2(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    const open = async (path: string): Promise<ReturnType<typeof session.request>> => {
      const request = session.request({ ":path": path });
      const head = await new Promise<Record<string, unknown>>((resolve) => request.once("response", resolve));
      expect(head).toMatchObject({ ":status": 200, "content-type": "text/event-stream" });
      return request.setEncoding("utf8");
    };
    const [first, , count] = await Promise.all(["/1", "/2", "/count"].map(open));
    let text = "";
    for await (const part of count ?? []) text += String(part);
    expect(text.match(/data: \d/g)).toEqual(["data: 1", "data: 2", "data: 3"]);
    await eventually(() => expect(Object.fromEntries(reasons)).toEqual({ "/count": "finished" }));
    first?.close(constants.NGHTTP2_CANCEL);
    await eventually(() => expect(Object.fromEntries(reasons)).toMatchObject({ "/1": "disconnected" }));
    expect(reasons.has("/2")).toBe(false);
    session.destroy();
    await eventually(() => expect(Object.fromEntries(reasons)).toMatchObject({ "/2": "disconnected" }));
    await new Promise((resolve) => server.close(resolve));
  });
});

test("the cursor is read from Node's headers, which hold bytes", async () => {
  const seen: unknown[] = [];
  const server = await serve(
    createServer((req: IncomingMessage, res) =>
      streamSSE(req, res, (stream) => void seen.push(stream.lastEventId)),
    ),
  );
  const header = Buffer.from("ünï-7").toString("latin1");
  await (await rawRequest(server, "/", { headers: { "Last-Event-ID": header } })).ended;
  await (await rawRequest(server, "/?lastEventId=from%20query#x")).ended;
  expect(seen).toEqual(["ünï-7", "from query"]);
});
