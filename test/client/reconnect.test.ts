import { type EventStreamOptions, failureOf, openEventStream, type StreamState } from "everstream/client";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { closing, reached, record, recordData, startServer } from "./server.ts";

const QUICK = { minDelay: 1, maxDelay: 20 };

describe("resuming", () => {
  test("opens nothing before somebody listens, then asks for an event stream", async () => {
    const server = await startServer((exchange) => exchange.open("data: hi\n\n"));
    const stream = closing(openEventStream(server.url));
    expect(stream.status.state).toBe("idle");
    stream.onStatus(() => undefined);
    stream.onGap(() => undefined);
    expect(stream.status.state).toBe("idle");
    const data = recordData(stream);
    expect(stream.status.state).toBe("connecting");
    expect(await data.count(1)).toEqual(["hi"]);
    expect(stream.status).toMatchObject({ state: "open", attempt: 1 });
    const { request } = await server.exchange(0);
    expect(request.method).toBe("GET");
    expect(request.headers.accept).toBe("text/event-stream");
    expect(request.headers["last-event-id"]).toBeUndefined();
    expect(stream.response?.url).toBe(server.url);
  });

  test("comes back after a cut with the last event ID, and drops the event that the cut left unfinished", async () => {
    const server = await startServer();
    const stream = closing(openEventStream(server.url, QUICK));
    const data = recordData(stream);
    const first = await server.exchange(0);
    first.open("id: 1\ndata: one\n\nid: 2\ndata: two\n\nid: 3\ndata: thr");
    await data.count(2);
    first.cut();
    const second = await server.exchange(1);
    expect(second.request.headers["last-event-id"]).toBe("2");
    second.open("id: 3\ndata: three\n\n");
    expect(await data.count(3)).toEqual(["one", "two", "three"]);
    expect(stream.lastEventId).toBe("3");
  });

  test("comes back after a good end, too", async () => {
    const server = await startServer((exchange, index) => {
      exchange.open(`id: ${index}\ndata: ${index}\n\n`);
      if (index < 2) exchange.response.end();
    });
    const data = recordData(closing(openEventStream(server.url, QUICK)));
    expect(await data.count(3)).toEqual(["0", "1", "2"]);
    expect(server.exchanges.map(({ request }) => request.headers["last-event-id"])).toEqual([
      undefined,
      "0",
      "1",
    ]);
  });

  test("a cut in the middle of a character loses nothing and shows no replacement character", async () => {
    const bytes = Buffer.from("id: 1\ndata: 🙂\n\n");
    for (let at = bytes.indexOf(0xf0) + 1; at < bytes.indexOf(0xf0) + 4; at++) {
      const server = await startServer((exchange, index) => {
        exchange.open("id: 0\ndata: start\n\n");
        if (index > 0) exchange.response.write(bytes);
        else exchange.response.write(bytes.subarray(0, at), () => exchange.cut());
      });
      const stream = closing(openEventStream(server.url, QUICK));
      expect(await recordData(stream).count(3)).toEqual(["start", "start", "🙂"]);
    }
  });

  test("an id outlives connections that send none, and blocks of ids alone move it", async () => {
    const server = await startServer((exchange, index) => {
      exchange.open(["id: a\ndata: 0\n\n", "data: 1\n\nid: b\n\n", "data: 2\n\n"][index]);
      if (index < 2) exchange.response.end();
    });
    const stream = closing(openEventStream(server.url, QUICK));
    const ids = record<string>();
    stream.onEvent(({ lastEventId }) => ids.add(lastEventId));
    expect(await ids.count(3)).toEqual(["a", "a", "b"]);
    expect(server.exchanges.map(({ request }) => request.headers["last-event-id"])).toEqual([
      undefined,
      "a",
      "b",
    ]);
  });

  test("checkpoints move the last event ID and are shown to nobody", async () => {
    const server = await startServer((exchange, index) => {
      exchange.open(index === 0 ? "event: sse:live\nid: 7\ndata:\n\n" : "data: now\n\n");
      if (index === 0) exchange.response.end();
    });
    const data = recordData(closing(openEventStream(server.url, QUICK)));
    expect(await data.count(1)).toEqual(["now"]);
    expect((await server.exchange(1)).request.headers["last-event-id"]).toBe("7");
  });

  test("a gap has a callback of its own; one that can't be read is reported", async () => {
    const report = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const gap = { reason: "trimmed", after: "1-1", next: "1-9" };
    const server = await startServer((exchange) =>
      exchange.open(
        `id: 1-1\ndata: x\n\nevent: sse:gap\ndata: ${JSON.stringify(gap)}\n\nevent: sse:gap\ndata: {\n\ndata: y\n\n`,
      ),
    );
    const stream = closing(openEventStream(server.url));
    const gaps = record<unknown>();
    stream.onGap(gaps.add);
    expect(await recordData(stream).count(2)).toEqual(["x", "y"]);
    expect(gaps.all).toEqual([gap]);
    expect(report).toHaveBeenCalledWith(expect.any(SyntaxError));
    report.mockRestore();
  });

  test("starts after `initialLastEventId`", async () => {
    const server = await startServer((exchange) => exchange.open("data: x\n\n"));
    const stream = closing(openEventStream(server.url, { initialLastEventId: "41" }));
    const lastEventId = record<string>();
    stream.onEvent((event) => lastEventId.add(event.lastEventId));
    expect(await lastEventId.count(1)).toEqual(["41"]);
    expect((await server.exchange(0)).request.headers["last-event-id"]).toBe("41");
  });

  test("an id beyond ASCII travels as UTF-8; one that no header can carry goes by the query", async () => {
    const server = await startServer((exchange, index) => {
      exchange.open(`id: ${["…é🙂", " x", ""][index]}\ndata: ${index}\n\n`);
      if (index < 2) exchange.response.end();
    });
    const url = `${server.url}?a=1&lastEventId=old#part`;
    await recordData(closing(openEventStream(url, QUICK))).count(3);
    const [first, second, third] = server.exchanges;
    expect(first?.request.url).toBe("/stream?a=1&lastEventId=old");
    expect(Buffer.from(second?.request.headers["last-event-id"] as string, "latin1").toString()).toBe("…é🙂");
    expect(third?.request.headers["last-event-id"]).toBeUndefined();
    expect(third?.request.url).toBe("/stream?a=1&lastEventId=+x");
  });

  test("an id that was reset is not sent again", async () => {
    const server = await startServer((exchange, index) => {
      exchange.open(index === 0 ? "id: 1\ndata: a\n\nid\ndata: b\n\n" : "data: c\n\n");
      if (index === 0) exchange.response.end();
    });
    await recordData(closing(openEventStream(server.url, QUICK))).count(3);
    expect(server.exchanges[1]?.request.headers["last-event-id"]).toBeUndefined();
  });
});

describe("the answer", () => {
  test("500 is tried again, with status and body in the failure", async () => {
    const server = await startServer((exchange, index) => {
      if (index > 0) return exchange.open("data: back\n\n");
      exchange.response.writeHead(500).end(`broken${"!".repeat(5000)}`);
    });
    const stream = closing(openEventStream(server.url, QUICK));
    const waiting = reached(stream, "waiting");
    const data = recordData(stream);
    const { failure, attempt, nextTryAt } = await waiting;
    expect(failure).toMatchObject({ code: "HTTP_STATUS", status: 500 });
    expect(failure?.body).toBe(`broken${"!".repeat(2042)}`);
    expect(attempt).toBe(1);
    expect(nextTryAt).toBeGreaterThan(0);
    expect(await data.count(1)).toEqual(["back"]);
    expect(stream.status.failure).toBeUndefined();
  });

  test("a refusal ends the stream, and the loop throws it", async () => {
    const server = await startServer(({ response }) =>
      response.writeHead(401).end('{"error":"who are you?"}'),
    );
    const stream = openEventStream(server.url, QUICK);
    const error = await stream[Symbol.asyncIterator]()
      .next()
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ name: "EverstreamError", code: "HTTP_STATUS" });
    expect(failureOf(error)).toMatchObject({ status: 401, body: '{"error":"who are you?"}' });
    expect(stream.status.state).toBe("failed");
    expect(server.exchanges).toHaveLength(1);
    // A loop that comes later hears the same.
    await expect(stream[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "HTTP_STATUS" });
  });

  test("shouldRetry can ask again where a refusal would end the stream", async () => {
    const server = await startServer((exchange, index) =>
      index === 0 ? exchange.response.writeHead(401).end() : exchange.open("data: in\n\n"),
    );
    let token = "old";
    const stream = openEventStream(server.url, {
      ...QUICK,
      headers: async () => ({ authorization: await Promise.resolve(token) }),
      shouldRetry({ status }) {
        token = "new";
        return status === 401 ? true : undefined;
      },
    });
    await recordData(closing(stream)).count(1);
    expect(server.exchanges.map(({ request }) => request.headers.authorization)).toEqual(["old", "new"]);
  });

  test.each(["text/html", "text/event-streams", "application/json; x=text/event-stream", undefined])(
    "content type %s is refused",
    async (type) => {
      const server = await startServer(({ response }) => {
        if (type !== undefined) response.setHeader("content-type", type);
        response.end("<p>Please log in</p>");
      });
      const stream = openEventStream(server.url, QUICK);
      await expect(stream[Symbol.asyncIterator]().next()).rejects.toMatchObject({
        code: "CONTENT_TYPE",
        cause: { status: 200, body: "<p>Please log in</p>" },
      });
    },
  );

  test.each(["", "text/event-st"])(
    "an answer without a body whose head ends at content type '%s' was cut off: it is asked for again",
    async (type) => {
      const server = await startServer((exchange, index) => {
        if (index > 0) exchange.open("data: back\n\n");
        else exchange.response.writeHead(200, type === "" ? {} : { "content-type": type }).end();
      });
      expect(await recordData(closing(openEventStream(server.url, QUICK))).count(1)).toEqual(["back"]);
    },
  );

  test.each(["Text/Event-Stream", "text/event-stream;", "text/event-stream;charset=windows-1252"])(
    "content type %s is accepted, and read as UTF-8",
    async (type) => {
      const server = await startServer(({ response }) => {
        response.writeHead(200, { "content-type": type }).write("data: ü\n\n");
      });
      expect(await recordData(closing(openEventStream(server.url))).count(1)).toEqual(["ü"]);
    },
  );

  test("204 ends the stream and its loops, without an error", async () => {
    const server = await startServer((exchange, index) => {
      if (index === 0) exchange.open("data: last\n\n");
      else exchange.response.writeHead(204);
      exchange.response.end();
    });
    const stream = openEventStream(server.url, QUICK);
    const seen: string[] = [];
    for await (const { data } of stream) seen.push(data);
    expect(seen).toEqual(["last"]);
    expect(stream.status).toEqual({ state: "closed", reason: "ended", attempt: 0 });
    for await (const _ of stream) throw new Error("no more events");
  });

  test("`sse:end` ends the stream and its loops without another request, after all that came before", async () => {
    const server = await startServer((exchange) =>
      exchange.open("id: 1\ndata: last\n\nevent: sse:end\nid: 2\ndata: {}\n\ndata: not any more\n\n"),
    );
    const stream = openEventStream(server.url, QUICK);
    const seen: string[] = [];
    for await (const { data } of stream) seen.push(data);
    expect(seen).toEqual(["last"]);
    expect(stream.status).toEqual({ state: "closed", reason: "ended", attempt: 0 });
    expect(stream.lastEventId).toBe("2");
    await (await server.exchange(0)).gone;
    expect(server.exchanges).toHaveLength(1);
  });

  test("an error's body that never ends does not hold back the error", async () => {
    const server = await startServer(({ response }) => {
      response.writeHead(404).write("not ");
      response.write("here");
    });
    const stream = openEventStream(server.url, QUICK);
    await expect(stream[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      cause: { status: 404, body: "not here" },
    });
    await (await server.exchange(0)).gone;
  });

  test("of an error no more than the first 2 kB are read", async () => {
    const server = await startServer(({ response }) => {
      response.writeHead(500);
      const flood = (): void => {
        if (!response.destroyed) response.write("x".repeat(1500), () => setImmediate(flood));
      };
      flood();
    });
    const loop = openEventStream(server.url, { maxRetries: 0 })[Symbol.asyncIterator]();
    const error = await loop.next().catch((thrown: unknown) => thrown);
    expect(failureOf(error)?.body).toBe("x".repeat(2048));
    await (await server.exchange(0)).gone;
  });

  test("a GET is not led astray by a `Location` among the headers", async () => {
    const server = await startServer((exchange, index) => {
      exchange.response.setHeader("location", "/elsewhere");
      exchange.open(`id: ${index}\ndata: ${index}\n\n`);
      if (index === 0) exchange.response.end();
    });
    await recordData(closing(openEventStream(server.url, QUICK))).count(2);
    expect(server.exchanges.map(({ request }) => request.url)).toEqual(["/stream", "/stream"]);
  });

  test("redirects are followed, and a reconnection goes to the original URL", async () => {
    const server = await startServer((exchange, index) => {
      if (exchange.request.url === "/other") exchange.open("data: x\n\n");
      else exchange.response.writeHead(307, { location: "/other" });
      if (index < 3) exchange.response.end();
    });
    const stream = closing(openEventStream(server.url, QUICK));
    await recordData(stream).count(2);
    expect(server.exchanges.map(({ request }) => request.url)).toEqual([
      "/stream",
      "/other",
      "/stream",
      "/other",
    ]);
    expect(stream.response?.url).toBe(server.url.replace("/stream", "/other"));
  });

  test("Retry-After is obeyed, also when the page wakes", async () => {
    const server = await startServer(({ response }) =>
      response.writeHead(503, { "retry-after": "3600" }).end(),
    );
    const stream = closing(openEventStream(server.url, QUICK));
    recordData(stream);
    const { nextTryAt = 0, failure } = await reached(stream, "waiting");
    expect(failure?.retryAfterMs).toBe(3_600_000);
    expect(nextTryAt).toBeGreaterThan(Date.now() + 3_500_000);
  });

  test("the server's `retry` is the floor of later waits", async () => {
    const server = await startServer((exchange) => {
      exchange.open("retry: 500000\n\ndata: x\n\n");
      exchange.response.end();
    });
    const stream = closing(openEventStream(server.url, QUICK));
    recordData(stream);
    const before = Date.now();
    const { nextTryAt = 0 } = await reached(stream, "waiting");
    expect(nextTryAt - before).toBeGreaterThanOrEqual(500_000);
  });
});

describe("no hot loop", () => {
  test("a server that takes every connection and drops it is left alone longer and longer", async () => {
    const server = await startServer((exchange) => {
      exchange.open(": everstream heartbeat=15000\nretry: 1\n\nevent: sse:live\nid: 1\ndata:\n\n");
      exchange.response.end();
    });
    const stream = openEventStream(server.url, { minDelay: 1, maxDelay: 20_000, maxRetries: 8 });
    const attempts: number[] = [];
    stream.onStatus(({ state, attempt }) => {
      if (state === "waiting") attempts.push(attempt);
    });
    // Neither an answer nor a checkpoint counts as progress: the budget runs out.
    await expect(stream[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "STREAM_ENDED" });
    expect(attempts).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(server.exchanges).toHaveLength(9);
  });

  test("an event resets the count of attempts", async () => {
    const server = await startServer((exchange, index) => {
      if (index % 2 === 0) exchange.response.writeHead(503);
      else exchange.open(`data: ${index}\n\n`);
      exchange.response.end();
    });
    const stream = openEventStream(server.url, { ...QUICK, maxRetries: 2 });
    closing(stream);
    const attempts = record<number>();
    stream.onStatus(({ state, attempt }) => {
      if (state === "connecting") attempts.add(attempt);
    });
    recordData(stream);
    expect((await attempts.count(7)).slice(0, 7)).toEqual([1, 2, 2, 3, 2, 3, 2]);
  });

  test("an id that can't be sent does not end in failures before the request", async () => {
    const server = await startServer((exchange, index) => {
      exchange.open(`id: a\u0001b\ndata: ${index}\n\n`);
      if (index === 0) exchange.response.end();
    });
    const headers = { "Last-Event-ID": "stale" };
    await recordData(closing(openEventStream(server.url, { ...QUICK, headers }))).count(2);
    expect(server.exchanges[0]?.request.headers["last-event-id"]).toBe("stale");
    expect(server.exchanges[1]?.request.headers["last-event-id"]).toBeUndefined();
    expect(server.exchanges[1]?.request.url).toBe("/stream?lastEventId=a%01b");
  });

  test("a request that can't be made fails at once instead of for ever", async () => {
    for (const [url, options] of [
      ["/relative-without-a-page", {}],
      ["http://user:pass@127.0.0.1/", {}],
      ["http://127.0.0.1/", { headers: { "bad header": "x" } }],
      ["http://127.0.0.1/", { body: "a GET has none" }],
    ] as const) {
      const loop = openEventStream(url, options)[Symbol.asyncIterator]();
      await expect(loop.next()).rejects.toMatchObject({ code: "INVALID_OPTION" });
    }
  });

  test("options that can't be used are refused where they are given", () => {
    for (const [options, message] of [
      [{ minDelay: Number.NaN }, "minDelay must be 0 or more."],
      [{ minDelay: "1s" }, "minDelay must be 0 or more."],
      [{ maxRetries: "few" }, "maxRetries must be 0 or more."],
      [{ connectTimeout: {} }, "connectTimeout must be 0 or more."],
      [{ fetch: "fetch" }, "fetch must be function."],
      [{ fetch: null }, "fetch must be function."],
      [{ maxQueue: -1 }, "maxQueue must be 0 or more."],
      [{ overflow: "drop" }, "overflow must be pause|dropOldest|error."],
      [{ overflow: 5 }, "overflow must be pause|dropOldest|error."],
      [{ resume: "sometimes" }, "resume must be always|cursor|never."],
      [null, "The options must be an object."],
      ["POST", "The options must be an object."],
    ] as const) {
      expect(() => openEventStream("http://127.0.0.1/", options as unknown as EventStreamOptions)).toThrow(
        expect.objectContaining({ code: "INVALID_OPTION", message }),
      );
    }
    const fine = { overflow: undefined, resume: "cursor", maxRetries: Number.POSITIVE_INFINITY } as const;
    openEventStream("http://127.0.0.1/", fine).close();
  });

  test("waits of no time at all are counted, too", async () => {
    const fetch = vi.fn(() => Promise.reject(new TypeError("no network")));
    const loop = openEventStream("/", { fetch, minDelay: 0, maxDelay: 0, maxRetries: 3 })[
      Symbol.asyncIterator
    ]();
    await expect(loop.next()).rejects.toMatchObject({ code: "NETWORK" });
    expect(fetch).toHaveBeenCalledTimes(4);
  });
});

describe("callbacks of the request", () => {
  test("url and headers are asked before every attempt", async () => {
    const server = await startServer((exchange, index) =>
      index < 2 ? exchange.response.writeHead(503).end() : exchange.open("data: x\n\n"),
    );
    let asked = 0;
    const stream = openEventStream(async () => `${server.url}?n=${await Promise.resolve(asked)}`, {
      ...QUICK,
      headers: () => ({ "x-attempt": String(++asked) }),
    });
    await recordData(closing(stream)).count(1);
    expect(server.exchanges.map(({ request }) => request.headers["x-attempt"])).toEqual(["1", "2", "3"]);
    expect(server.exchanges[2]?.request.url).toMatch(/n=[23]$/);
  });

  test("one that fails is a failure like any other, and is asked again", async () => {
    const server = await startServer((exchange) => exchange.open("data: x\n\n"));
    let asked = 0;
    const stream = openEventStream(server.url, {
      ...QUICK,
      async headers() {
        if (asked++ === 0) throw new Error("no token yet");
        return Promise.resolve({ authorization: "token" });
      },
    });
    const waiting = reached(closing(stream), "waiting");
    const data = recordData(stream);
    expect((await waiting).failure).toMatchObject({
      code: "CALLBACK_FAILED",
      message: "no token yet",
    });
    await data.count(1);
  });

  test("a custom fetch gets URL and init, with credentials and a signal", async () => {
    const calls: [string, RequestInit][] = [];
    const stream = openEventStream("/events", {
      credentials: "include",
      fetch(input, init) {
        calls.push([String(input), init ?? {}]);
        return Promise.resolve(
          new Response("data: x\n\n", { headers: { "content-type": "text/event-stream" } }),
        );
      },
      resume: "never",
    });
    const seen: string[] = [];
    for await (const { data } of stream) seen.push(data);
    expect(seen).toEqual(["x"]);
    expect(calls).toEqual([
      ["/events", expect.objectContaining({ credentials: "include", cache: "no-store" })],
    ]);
    expect(calls[0]?.[1].signal?.aborted).toBe(true);
  });
});

describe("watching over the connection", () => {
  test("a connection that misses the heartbeats it announced is stalled and replaced", async () => {
    const server = await startServer((exchange, index) => {
      exchange.open(`: everstream heartbeat=20\n\nid: ${index}\ndata: ${index}\n\n`);
    });
    const stream = closing(openEventStream(server.url, QUICK));
    const states: StreamState[] = [];
    stream.onStatus(({ state }) => states.push(state));
    const stalled = reached(stream, "waiting");
    const data = recordData(stream);
    expect((await stalled).failure).toMatchObject({ code: "STALLED" });
    await (await server.exchange(0)).gone;
    expect(await data.count(2)).toEqual(["0", "1"]);
    expect(states.slice(0, 5)).toEqual(["connecting", "open", "stalled", "waiting", "connecting"]);
    expect((await server.exchange(1)).request.headers["last-event-id"]).toBe("0");
  });

  test("an interval that is known from before guards the next connection from its first byte", async () => {
    const server = await startServer((exchange, index) => {
      exchange.open(index === 0 ? ": everstream heartbeat=20\n\n" : "");
      if (index === 0) exchange.response.end();
    });
    const stream = closing(openEventStream(server.url, QUICK));
    recordData(stream);
    await server.exchange(2);
    expect(stream.status.failure?.code).toBe("STALLED");
  });

  test("a server that does not answer in time is asked again", async () => {
    const server = await startServer((exchange, index) => {
      if (index > 0) exchange.open("data: late\n\n");
    });
    const stream = closing(openEventStream(server.url, { ...QUICK, connectTimeout: 50 }));
    const waiting = reached(stream, "waiting");
    const data = recordData(stream);
    expect((await waiting).failure).toMatchObject({ code: "TIMEOUT" });
    expect(await data.count(1)).toEqual(["late"]);
    await (await server.exchange(0)).gone;
  });

  test("a token that comes after the stream was closed is not used any more, by whatever fetch", async () => {
    let give: (token: string) => void = () => undefined;
    const token = new Promise<string>((resolve) => (give = resolve));
    const fetch = vi.fn<typeof globalThis.fetch>();
    const headers = async () => ({ authorization: await token });
    const stream = openEventStream("http://127.0.0.1/", { method: "POST", headers, fetch });
    stream.onEvent(() => undefined);
    stream.close();
    give("late");
    await new Promise((resolve) => setImmediate(resolve));
    expect(fetch).not.toHaveBeenCalled();
  });

  test.each(["before the answer", "as it opens", "at an event", "for an event too large"])(
    "lets go of the body of a fetch that knows nothing of signals, closed %s",
    async (when) => {
      let answer: (response: Response) => void = () => undefined;
      const fetch = (): Promise<Response> => new Promise((resolve) => (answer = resolve));
      const stream = closing(openEventStream("/", { fetch, maxEventBytes: 20 }));
      stream.onEvent(() => when === "at an event" && stream.close());
      stream.onStatus(({ state }) => when === "as it opens" && state === "open" && stream.close());
      await expect.poll(() => stream.status.state).toBe("connecting");
      if (when === "before the answer") stream.close();
      await new Promise<void>((resolve) => {
        const body = new ReadableStream<Uint8Array>({
          start: (controller) =>
            controller.enqueue(
              Buffer.from(when.includes("large") ? `data:${"x".repeat(20)}` : "data: a\n\n"),
            ),
          cancel: resolve,
        });
        answer(new Response(body, { headers: { "content-type": "text/event-stream" } }));
      });
      expect(stream.status.state).toBe(when.includes("large") ? "failed" : "closed");
    },
  );

  test.each(["answers", "fails"])("an attempt that %s after it was given up is not heard", async (how) => {
    const pending: { resolve(response: Response): void; reject(error: Error): void }[] = [];
    // A fetch that knows nothing of signals.
    const fetch = (): Promise<Response> =>
      new Promise((resolve, reject) => {
        pending.push({ resolve, reject });
      });
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
    onTestFinished(() => void vi.useRealTimers());
    const stream = closing(openEventStream("/", { ...QUICK, fetch, connectTimeout: 1000, maxRetries: 1 }));
    const data = recordData(stream);
    await vi.advanceTimersByTimeAsync(1000);
    expect(stream.status).toMatchObject({ state: "waiting", failure: { code: "TIMEOUT" } });
    await vi.advanceTimersByTimeAsync(QUICK.maxDelay);
    const answer = (text: string): Response =>
      new Response(`data: ${text}\n\n`, { headers: { "content-type": "text/event-stream" } });
    if (how === "answers") pending[0]?.resolve(answer("late"));
    else pending[0]?.reject(new TypeError("late"));
    await new Promise((resolve) => setImmediate(resolve));
    expect(stream.status).toMatchObject({ state: "connecting", attempt: 2 });
    pending[1]?.resolve(answer("in time"));
    expect(await data.count(1)).toEqual(["in time"]);
  });

  test("an event over the limit fails the stream instead of coming again and again", async () => {
    const server = await startServer((exchange) =>
      exchange.open(`id: 1\ndata: ok\n\ndata: ${"x".repeat(500)}`),
    );
    const stream = openEventStream(server.url, { ...QUICK, maxEventBytes: 200 });
    const loop = stream[Symbol.asyncIterator]();
    expect((await loop.next()).value).toMatchObject({ data: "ok" });
    await expect(loop.next()).rejects.toMatchObject({ code: "EVENT_TOO_LARGE" });
    expect(server.exchanges).toHaveLength(1);
  });

  test("the body timeout of a Node's fetch that is given does not end a quiet stream: it is resumed", async () => {
    const server = await startServer((exchange, index) => exchange.open(`id: ${index}\ndata: ${index}\n\n`));
    // The runtime's own dispatcher, with a timeout of a second in place of five minutes.
    const dispatcher = makeDispatcher({ bodyTimeout: 1000 });
    const stream = openEventStream(server.url, {
      ...QUICK,
      fetch: (input, init) => fetch(input, { ...init, dispatcher } as RequestInit),
    });
    const waiting = reached(closing(stream), "waiting");
    const data = recordData(stream);
    const { failure } = await waiting;
    expect(failure?.cause).toMatchObject({ cause: { code: "UND_ERR_BODY_TIMEOUT" } });
    expect(await data.count(2)).toEqual(["0", "1"]);
  });
});

function makeDispatcher(options: { bodyTimeout: number }): unknown {
  // The first use of fetch sets it up.
  fetch("data:,").catch(() => undefined);
  const current = Reflect.get(globalThis, Symbol.for("undici.globalDispatcher.1")) as object;
  return Reflect.construct(current.constructor as new (options: object) => object, [options]);
}
