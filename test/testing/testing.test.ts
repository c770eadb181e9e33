import { createServer } from "node:http";
import { streamEvents } from "everstream";
import { streamSSE } from "everstream/node";
import {
  collectEvents,
  connectRaw,
  eventsOf,
  rawRequest,
  serveForTest,
  type TestServer,
} from "everstream/testing";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { eventually } from "../session/eventually.ts";

const servers: TestServer[] = [];

async function serve(...args: Parameters<typeof serveForTest>): Promise<TestServer> {
  const server = await serveForTest(...args);
  servers.push(server);
  return server;
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

/** A stream that counts until its client leaves. */
function counting(onEnd?: (reason: string) => void): Response {
  return streamEvents(new Request("http://test/"), async (stream) => {
    if (onEnd !== undefined) void stream.closeReason.then(onEnd);
    for (let count = 0; ; count++) {
      await stream.writeSSE({ data: `${count}`, id: `${count}`, event: "count" });
      await stream.sleep(1);
    }
  });
}

describe("eventsOf", () => {
  test("yields a response's events until its end", async () => {
    const response = new Response(
      "retry: 7\nid: 1\ndata: a\n\n: c\n\nevent: b\ndata: 2\n\nid: 3\n\ndata: cut off",
    );
    const seen = { onComment: vi.fn(), onRetry: vi.fn(), onId: vi.fn() };
    const events = [];
    for await (const event of eventsOf(response, seen)) events.push(event);
    expect(events).toEqual([
      { event: "message", data: "a", lastEventId: "1" },
      { event: "b", data: "2", lastEventId: "1" },
    ]);
    expect(seen.onComment.mock.calls).toEqual([["c"]]);
    expect(seen.onRetry.mock.calls).toEqual([[7]]);
    expect(seen.onId.mock.calls).toEqual([["3"]]);
  });

  test("cancels the body when the loop is left", async () => {
    const ended = deferred<string>();
    for await (const event of eventsOf(counting(ended.resolve))) if (event.data === "3") break;
    expect(await ended.promise).toBe("cancelled");
  });

  test("refuses a response that has no body", async () => {
    const events = eventsOf(new Response(null, { status: 204 }));
    await expect(events.next()).rejects.toMatchObject({ code: "INVALID_OPTION" });
  });
});

describe("collectEvents", () => {
  test("stops at the count, at the event that was waited for, and at the end", async () => {
    const datas = async (...args: Parameters<typeof collectEvents>): Promise<string[]> =>
      (await collectEvents(...args)).map(({ data }) => data);
    expect(await datas(counting(), { count: 3 })).toEqual(["0", "1", "2"]);
    expect(await datas(counting(), { until: ({ data }) => data === "1" })).toEqual(["0", "1"]);
    expect(await datas(new Response("data: a\n\ndata: b\n\ndata: c\n\n"), { count: 2 })).toEqual(["a", "b"]);
    expect(await datas(new Response("data: a\n\ndata: b\n\n"))).toEqual(["a", "b"]);
    expect(await datas(counting(), { count: 0 })).toEqual([]);
  });

  test("takes the body alone, and cancels it when it has enough", async () => {
    const ended = deferred<string>();
    const { body } = counting(ended.resolve);
    await collectEvents(body as ReadableStream<Uint8Array>, { count: 1 });
    expect(await ended.promise).toBe("cancelled");
  });

  test("says what it did see when the rest does not come, and lets the stream go", async () => {
    const ended = deferred<string>();
    const response = streamEvents(new Request("http://test/"), async (stream) => {
      void stream.closeReason.then(ended.resolve);
      await stream.send("hello", { to: "you" });
      await new Promise(() => undefined);
    });
    const hello = deferred<void>();
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const until = () => {
      hello.resolve();
      return false;
    };
    const refused = expect(collectEvents(response, { until, timeout: 60_000 })).rejects.toMatchObject({
      code: "TIMEOUT",
      message: expect.stringContaining("hello"),
    });
    await hello.promise;
    await vi.advanceTimersByTimeAsync(60_000);
    await refused;
    expect(await ended.promise).toBe("cancelled");
  });
});

describe("serveForTest", () => {
  test("serves a node:http listener, a Fetch server and a server that was made already", async () => {
    const listener = await serve((_req, res) => void res.end("listener"));
    const fetching = await serve({
      fetch: async (request) => new Response(`${request.method} ${await request.text()}`),
    });
    const made = await serve(createServer((_req, res) => void res.end("made")));
    expect(await (await fetch(listener.url)).text()).toBe("listener");
    expect(await (await fetch(`${fetching.url}/x`, { method: "POST", body: "body" })).text()).toBe(
      "POST body",
    );
    expect(await (await fetch(made.url)).text()).toBe("made");
  });

  test("a Fetch server's request is aborted when the client leaves, and its body cancelled", async () => {
    const aborted = deferred<void>();
    const cancelled = deferred<void>();
    const server = await serve({
      fetch: (request) => {
        request.signal.addEventListener("abort", () => aborted.resolve());
        return new Response(new ReadableStream({ cancel: () => cancelled.resolve() }));
      },
    });
    const raw = await rawRequest(server);
    raw.destroy();
    await Promise.all([aborted.promise, cancelled.promise]);
  });

  test("a Fetch handler that throws is answered with 500", async () => {
    const server = await serve({ fetch: () => Promise.reject(new Error("broken")) });
    const raw = await rawRequest(server);
    expect([raw.status, await raw.until("broken")]).toEqual([500, "Error: broken"]);
  });

  test("cut() breaks what is open, and the next connection works", async () => {
    const server = await serve((req, res) =>
      streamSSE(req, res, async (stream) => {
        await stream.writeSSE({ data: "hi" });
        await stream.sleep(60_000);
      }),
    );
    const raw = await rawRequest(server);
    await raw.until("hi");
    expect(server.sockets.size).toBe(1);
    server.cut();
    expect(await raw.ended).toBe("cut");
    await eventually(() => expect(server.sockets.size).toBe(0));
    await (await rawRequest(server)).until("hi");
  });

  test("cut(n) lets exactly n more bytes through", async () => {
    const server = await serve((_req, res) => {
      res.writeHead(200, { "Content-Length": 1000 });
      res.flushHeaders();
      const timer = setInterval(() => res.write("0123456789"), 1);
      res.on("close", () => clearInterval(timer));
    });
    const raw = await rawRequest(server);
    await raw.until("0123456789");
    const before = server.sockets.values().next().value?.bytesWritten ?? 0;
    server.cut(25);
    expect(await raw.ended).toBe("cut");
    expect(raw.socket.bytesRead - before).toBe(25);
  });

  test("close() may be called twice and ends what is open", async () => {
    const server = await serveForTest((_req, res) => res.flushHeaders());
    const raw = await rawRequest(server);
    await Promise.all([server.close(), server.close()]);
    expect(await raw.ended).toBe("cut");
    await expect(rawRequest(server)).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });
});

describe("rawRequest", () => {
  test("records status, headers, body and chunks as they came", async () => {
    const server = await serve((_req, res) => {
      res.setHeader("Set-Cookie", ["a=1", "b=2"]);
      res.writeHead(201, { "Content-Type": "text/plain" });
      res.write("één");
      res.write("two");
      res.end();
    });
    const raw = await rawRequest(server.port);
    expect(await raw.ended).toBe("complete");
    expect(raw.head).toMatch(/^HTTP\/1\.1 201 Created\r\n/);
    expect(raw).toMatchObject({ status: 201, body: "ééntwo", received: 8, chunks: ["één", "two"] });
    expect(raw.headers).toMatchObject({ "set-cookie": "a=1, b=2", "content-type": "text/plain" });
  });

  test("sends what it is asked to", async () => {
    const server = await serve((req, res) => {
      let body = "";
      req.on("data", (part) => {
        body += part;
      });
      req.on("end", () =>
        res.end(`${req.method} ${req.url} ${req.httpVersion} ${req.headers["x-a"]} ${body}`),
      );
    });
    const options = { method: "POST", headers: { "X-A": "1" }, body: "hé", httpVersion: "1.0" } as const;
    const raw = await rawRequest(server.url, "/p?q", options);
    await raw.ended;
    expect(raw.body).toBe("POST /p?q 1.0 1 hé");
  });

  test("tells a whole body from one that was cut, however it is framed", async () => {
    const server = await serve((req, res) => {
      if (req.url === "/length") res.setHeader("Content-Length", 10);
      res.write("12345");
      setImmediate(() => (req.headers["x-cut"] ? res.destroy() : res.end("67890")));
    });
    const ends = (path: string, options?: Parameters<typeof rawRequest>[2]) =>
      rawRequest(server, path, options).then(({ ended }) => ended);
    expect(await ends("/chunked")).toBe("complete");
    expect(await ends("/chunked", { headers: { "X-Cut": "1" } })).toBe("cut");
    expect(await ends("/length")).toBe("complete");
    expect(await ends("/length", { headers: { "X-Cut": "1" } })).toBe("cut");
    expect(await ends("/close", { httpVersion: "1.0" })).toBe("complete");
  });

  test("knows responses that have no body", async () => {
    const server = await serve((req, res) => {
      res.statusCode = Number(req.url?.slice(1));
      res.end(res.statusCode === 200 ? "body" : undefined);
    });
    const connection = await connectRaw(server);
    const answers = [
      await connection.request("/200", { method: "HEAD" }),
      await connection.request("/204"),
      await connection.request("/304"),
      await connection.request("/200"),
    ];
    expect(await Promise.all(answers.map(({ ended }) => ended))).toEqual(Array(4).fill("complete"));
    expect(answers.map(({ body }) => body)).toEqual(["", "", "", "body"]);
  });

  test("pipelines requests and tells their responses apart", async () => {
    const server = await serve((req, res) => {
      setImmediate(() => {
        res.write(`${req.url} `);
        setImmediate(() => res.end("end"));
      });
    });
    const connection = await connectRaw(server);
    const responses = await Promise.all(["/a", "/b", "/c"].map((path) => connection.request(path)));
    await Promise.all(responses.map(({ ended }) => ended));
    expect(responses.map(({ body }) => body)).toEqual(["/a end", "/b end", "/c end"]);
    connection.socket.destroy();
  });

  test("breaks off at framing that is none, and at bytes that nobody asked for", async () => {
    const server = await serve((req, res) => {
      const head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
      res.socket?.write(req.url === "/framing" ? `${head}data: 1\n\n` : `${head}0\r\n\r\n7\r\ndata: 1`);
    });
    const framing = await rawRequest(server, "/framing");
    expect(await framing.ended).toBe("cut");
    expect(framing.socket.errored?.message).toContain("no size");
    const late = await rawRequest(server, "/late");
    expect(await late.ended).toBe("complete");
    expect(late.socket.errored?.message).toContain("no request has asked for");
  });

  test("until() says what came instead, where the body ends or the time is up", async () => {
    const server = await serve((req, res) => {
      res.write("something else");
      if (req.url === "/end") res.end();
    });
    const ending = await rawRequest(server, "/end");
    await expect(ending.until("this")).rejects.toMatchObject({
      code: "STREAM_ENDED",
      message: expect.stringContaining("something else"),
    });
    const waiting = await rawRequest(server, "/wait");
    await waiting.until("something else");
    await expect(waiting.until(/this/, 20)).rejects.toMatchObject({
      code: "TIMEOUT",
      message: expect.stringContaining("something else"),
    });
    expect(await waiting.until(({ received }) => received === 14)).toBe("something else");
  });

  test("rejects when the server closes the connection without an answer", async () => {
    const server = await serve((_req, res) => void res.destroy());
    await expect(rawRequest(server)).rejects.toMatchObject({ code: "NETWORK" });
  });

  test("a paused client reads nothing until it is resumed", async () => {
    const server = await serve((_req, res) => {
      res.flushHeaders();
      const timer = setInterval(() => res.write("x".repeat(100_000)), 1);
      res.on("close", () => clearInterval(timer));
    });
    const paused = await rawRequest(server);
    await paused.until("x");
    paused.pause();
    const { received } = paused;
    await eventually(() => expect(server.sockets.values().next().value?.writableLength).toBeGreaterThan(0));
    expect(paused.received).toBe(received);
    paused.resume();
    await paused.until((raw) => raw.received > received);
  });
});

function deferred<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
