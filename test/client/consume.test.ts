import { getEventListeners } from "node:events";
import { openEventStream, type StreamEvent } from "everstream/client";
import { describe, expect, test, vi } from "vitest";
import { closing, reached, recordData, startServer, type TestServer } from "./server.ts";

const QUICK = { minDelay: 1, maxDelay: 20 };

/** A server that sends `count` numbered events in one write. */
function numbers(count: number): Promise<TestServer> {
  let text = "";
  for (let n = 0; n < count; n++) text += `data: ${n}\n\n`;
  return startServer((exchange) => exchange.open(text));
}

describe("for await", () => {
  test("breaking out closes the stream, and the server sees it", async () => {
    const server = await numbers(5);
    const stream = openEventStream(server.url, QUICK);
    const seen: StreamEvent[] = [];
    for await (const event of stream) {
      seen.push(event);
      if (seen.length === 2) break;
    }
    expect(seen).toEqual([
      { type: "message", data: "0", lastEventId: "" },
      { type: "message", data: "1", lastEventId: "" },
    ]);
    expect(stream.status).toMatchObject({ state: "closed", reason: "close" });
    await (await server.exchange(0)).gone;
  });

  test("an error thrown in the loop closes the stream, too", async () => {
    const server = await numbers(5);
    const stream = openEventStream(server.url, QUICK);
    const loop = async (): Promise<void> => {
      for await (const _ of stream) throw new Error("mine");
    };
    await expect(loop()).rejects.toThrow("mine");
    expect(stream.status.state).toBe("closed");
    await (await server.exchange(0)).gone;
  });

  test("several loops each see every event; the first to leave closes the stream for all", async () => {
    const server = await numbers(3);
    const stream = openEventStream(server.url, QUICK);
    const seen: string[][] = [[], []];
    const loop = async (index: number): Promise<void> => {
      for await (const { data } of stream) if (seen[index]?.push(data) === 3) break;
    };
    await Promise.all([loop(0), loop(1)]);
    expect(seen[0]).toEqual(["0", "1", "2"]);
    expect(seen[1]).toEqual(["0", "1", "2"].slice(0, seen[1]?.length));
    expect(seen[1]?.length).toBeGreaterThanOrEqual(2);
    expect(stream.status.state).toBe("closed");
  });

  test("close() ends waiting loops, drops what is queued, and may be called twice", async () => {
    const server = await numbers(5);
    const stream = openEventStream(server.url, QUICK);
    const waiting = stream[Symbol.asyncIterator]();
    const lagging = stream[Symbol.asyncIterator]();
    const data = recordData(stream);
    expect((await waiting.next()).value).toMatchObject({ data: "0" });
    await data.count(5);
    stream.close();
    stream.close();
    expect(await waiting.next()).toEqual({ done: true, value: undefined });
    expect(await lagging.next()).toEqual({ done: true, value: undefined });
    await (await server.exchange(0)).gone;
  });

  test("several pending next() are answered in their order", async () => {
    const server = await numbers(2);
    const loop = closing(openEventStream(server.url))[Symbol.asyncIterator]();
    const results = await Promise.all([loop.next(), loop.next()]);
    expect(results.map(({ value }) => value?.data)).toEqual(["0", "1"]);
  });

  test("a signal closes the stream: while waiting, and before it began", async () => {
    const server = await numbers(1);
    const controller = new AbortController();
    const stream = openEventStream(server.url, { signal: controller.signal });
    for await (const _ of stream) controller.abort();
    expect(stream.status.state).toBe("closed");
    const late = openEventStream(server.url, { signal: controller.signal });
    for await (const _ of late) throw new Error("closed already");
    expect(server.exchanges).toHaveLength(1);
  });

  test("a stream that is closed otherwise leaves the signal alone", async () => {
    const server = await numbers(1);
    const { signal } = new AbortController();
    const stream = openEventStream(server.url, { signal });
    expect(getEventListeners(signal, "abort")).toHaveLength(1);
    stream.close();
    expect(getEventListeners(signal, "abort")).toEqual([]);
  });

  test("closing while waiting for the next attempt cancels it", async () => {
    const server = await startServer(({ response }) => response.writeHead(503).end());
    const stream = openEventStream(server.url, QUICK);
    recordData(stream);
    await reached(stream, "waiting");
    const before = server.exchanges.length;
    stream.close();
    const other = openEventStream(server.url, { maxRetries: 0 });
    await expect(other[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "HTTP_STATUS" });
    expect(server.exchanges).toHaveLength(before + 1);
  });
});

describe("a reader that lags", () => {
  /** Writes numbered events of 1 kB until the socket is full for good, or `limit` are written. */
  async function flood(server: TestServer, limit: number): Promise<number> {
    const { response, open } = await server.exchange(0);
    open();
    let written = 0;
    while (written < limit) {
      const flushed = response.write(`id: ${written}\ndata: ${written}${" ".repeat(1000)}\n\n`);
      written++;
      if (flushed) continue;
      const drained = new Promise((resolve) => response.once("drain", () => resolve(true)));
      // The kernel's buffers can take a moment; two seconds without a byte are a reader that has stopped.
      const stopped = new Promise((resolve) => setTimeout(resolve, 2000, false));
      if (!(await Promise.race([drained, stopped]))) break;
    }
    return written;
  }

  test("holds back the server, and then gets every event in order", async () => {
    const server = await startServer();
    const stream = closing(openEventStream(server.url, { maxQueue: 10 }));
    const loop = stream[Symbol.asyncIterator]();
    let received = 0;
    stream.onEvent(() => received++);
    const limit = 100_000;
    const written = await flood(server, limit);
    // 100 MB would have been written to a client that reads ahead.
    expect(written).toBeLessThan(limit / 2);
    // A full queue, and at most what one read brings on top of it.
    expect(received).toBeLessThan(500);
    for (let n = 0; n < written - 100; n++) {
      const { value } = await loop.next();
      if (value?.lastEventId !== String(n)) throw new Error(`${value?.lastEventId} came in place of ${n}`);
    }
  });

  test("gets everything one by one where nothing may be queued", async () => {
    const server = await numbers(1);
    let seen = 0;
    for await (const { data } of openEventStream(server.url, { maxQueue: 0 })) {
      expect(data).toBe(String(seen));
      if (++seen === 5) break;
      server.exchanges[0]?.response.write(`data: ${seen}\n\n`);
    }
    expect(seen).toBe(5);
  });

  test("can ask for the newest events alone", async () => {
    const server = await numbers(50);
    const stream = closing(openEventStream(server.url, { maxQueue: 3, overflow: "dropOldest" }));
    const loop = stream[Symbol.asyncIterator]();
    await recordData(stream).count(50);
    const seen = [await loop.next(), await loop.next(), await loop.next()];
    expect(seen.map(({ value }) => value?.data)).toEqual(["47", "48", "49"]);
  });

  test("can ask for an error, after the events that were queued", async () => {
    const server = await numbers(50);
    const stream = openEventStream(server.url, { maxQueue: 3, overflow: "error" });
    const loop = stream[Symbol.asyncIterator]();
    await reached(stream, "closed");
    const seen = [await loop.next(), await loop.next(), await loop.next()];
    expect(seen.map(({ value }) => value?.data)).toEqual(["0", "1", "2"]);
    await expect(loop.next()).rejects.toMatchObject({ code: "OVERFLOW" });
    expect(server.exchanges).toHaveLength(1);
  });

  test("is let go when the stream is closed while it holds back the server", async () => {
    const server = await startServer();
    const stream = openEventStream(server.url, { maxQueue: 1 });
    const loop = stream[Symbol.asyncIterator]();
    const data = recordData(stream);
    const exchange = await server.exchange(0);
    exchange.open("data: 0\n\ndata: 1\n\n");
    await data.count(2);
    stream.close();
    await exchange.gone;
    expect(await loop.next()).toEqual({ done: true, value: undefined });
  });
});

describe("listeners", () => {
  test("hear their type, until they unsubscribe", async () => {
    const server = await startServer((exchange) =>
      exchange.open("event: a\ndata: 1\n\ndata: 2\n\nevent: a\ndata: 3\n\nevent: a\ndata: 4\n\n"),
    );
    const stream = closing(openEventStream(server.url));
    const a: string[] = [];
    const messages: string[] = [];
    const stop = stream.on("a", ({ data }) => {
      a.push(data);
      if (data === "3") stop();
    });
    stream.on("message", ({ data }) => messages.push(data));
    await recordData(stream).count(4);
    stop();
    expect(a).toEqual(["1", "3"]);
    expect(messages).toEqual(["2"]);
  });

  test("may come late and hear what comes after them", async () => {
    const server = await startServer((exchange) => exchange.open("data: early\n\n"));
    const stream = closing(openEventStream(server.url));
    await recordData(stream).count(1);
    const late = recordData(stream);
    (await server.exchange(0)).response.write("data: later\n\n");
    expect(await late.count(1)).toEqual(["later"]);
  });

  test("one that throws is reported and harms neither the others nor the stream", async () => {
    const report = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const server = await numbers(2);
    const stream = openEventStream(server.url);
    const oops = new Error("oops");
    stream.on("message", () => {
      throw oops;
    });
    stream.onStatus(() => {
      throw oops;
    });
    expect(await recordData(stream).count(2)).toEqual(["0", "1"]);
    stream.close();
    expect(report).toHaveBeenCalledWith(oops);
    report.mockRestore();
  });

  test("one that closes the stream is the last to be called, in the middle of what was read", async () => {
    const server = await startServer((exchange) =>
      exchange.open("id: a\ndata: 0\n\nid: b\ndata: 1\n\nevent: sse:gap\ndata: {}\n\nid: c\n\n"),
    );
    const stream = openEventStream(server.url);
    stream.onGap(() => {
      throw new Error("told after the end");
    });
    const first = recordData(stream);
    stream.onEvent(() => stream.close());
    const last = recordData(stream);
    await reached(stream, "closed");
    await (await server.exchange(0)).gone;
    expect(first.all).toEqual(["0"]);
    expect(last.all).toEqual([]);
    // What was not shown is not taken for seen.
    expect(stream.lastEventId).toBe("a");
  });

  test("a status that a listener has made out of date is told to nobody else", async () => {
    const server = await numbers(1);
    const stream = openEventStream(server.url);
    const states: string[] = [];
    stream.onStatus(({ state }) => {
      if (state === "open") stream.close();
    });
    stream.onStatus(({ state }) => states.push(state));
    recordData(stream);
    await reached(stream, "closed");
    expect(states).toEqual(["connecting", "closed"]);
  });
});
