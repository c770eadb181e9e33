// What every stream promises about its end (DESIGN 5.5, 6), held against every way in which one can be served.
import { type CloseReason, closeStreams, type EventStreamWriter, type HandlerOptions } from "everstream";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { pulseSize } from "../../src/session/pulse.ts";
import { type Deferred, deferred } from "../session/deferred.ts";
import { eventually } from "../session/eventually.ts";
import { collectGarbage } from "../session/garbage.ts";
import { type Client, type Handler, type Serving, ways } from "./ways.ts";

const open: Serving[] = [];
const unhandled = vi.fn();

beforeEach(() => {
  unhandled.mockClear();
  process.on("unhandledRejection", unhandled);
});

afterEach(async () => {
  await Promise.all(open.splice(0).map((serving) => serving.dispose()));
  // Nothing of any stream may stay behind, whichever way it ended.
  await eventually(() => expect(pulseSize()).toBe(0));
  process.off("unhandledRejection", unhandled);
  expect(unhandled).not.toHaveBeenCalled();
});

/** What a callback could see of its stream's end. */
interface Seen {
  readonly reason: Promise<CloseReason>;
  stream: EventStreamWriter;
  requestSignal: () => AbortSignal | undefined;
  onAbort: ReturnType<typeof vi.fn>;
  onSignal: ReturnType<typeof vi.fn>;
  onRequestSignal: ReturnType<typeof vi.fn>;
}

describe.each(ways)("$name", (way) => {
  async function serve(handler: Handler, options?: HandlerOptions): Promise<Serving> {
    const serving = await way.serve(handler, options);
    open.push(serving);
    return serving;
  }

  /** Serves a handler whose end is watched, and opens one client. */
  async function start(
    body: (stream: EventStreamWriter) => void | Promise<void>,
    options?: HandlerOptions,
  ): Promise<{ client: Client; serving: Serving; seen: Seen }> {
    const reason: Deferred<CloseReason> = deferred();
    const seen = {
      reason: reason.promise,
      onAbort: vi.fn(),
      onSignal: vi.fn(),
      onRequestSignal: vi.fn(),
    } as unknown as Seen;
    const serving = await serve(async (stream, requestSignal) => {
      Object.assign(seen, { stream, requestSignal });
      void stream.closeReason.then(reason.resolve);
      stream.onAbort(seen.onAbort as () => void);
      stream.signal.addEventListener("abort", seen.onSignal as () => void);
      requestSignal()?.addEventListener("abort", seen.onRequestSignal as () => void);
      await body(stream);
    }, options);
    return { client: await serving.open(), serving, seen };
  }

  /** The end has been seen everywhere, once, and whoever asks only now still hears of it. */
  async function expectEnd(seen: Seen, reason: CloseReason): Promise<void> {
    expect(await seen.reason).toBe(reason);
    const { stream } = seen;
    const finished = reason === "finished";
    await eventually(() => expect(pulseSize()).toBe(0));
    expect(seen.onSignal).toHaveBeenCalledTimes(1);
    expect(seen.onAbort).toHaveBeenCalledTimes(finished ? 0 : 1);
    expect(stream.closed).toBe(true);
    expect(stream.aborted).toBe(!finished);
    expect(stream.signal.aborted).toBe(true);
    expect(stream.signal.reason).toMatchObject({
      code: "STREAM_ENDED",
      message: expect.stringContaining(reason),
    });
    expect(await stream.closeReason).toBe(reason);
    const late = vi.fn();
    stream.onAbort(late);
    expect(late).toHaveBeenCalledTimes(finished ? 0 : 1);
    if (way.hasSignal) {
      expect(seen.onRequestSignal).toHaveBeenCalledTimes(1);
      expect(seen.requestSignal()?.aborted).toBe(true);
    }
  }

  test("events arrive whole and in order, and the callback's return ends the stream", async () => {
    const { client, seen } = await start(async (stream) => {
      await stream.writeSSE({ id: "1", event: "first", data: "a\nb\r\nc\rd" });
      await stream.writeSSE({ data: "ünïcödé 🎉", retry: 5 });
      await stream.send("third", { n: [1, null] });
    });
    expect(await client.ended).toBe("complete");
    expect(client.status).toBe(200);
    expect(client.events).toEqual([
      { event: "first", data: "a\nb\nc\nd", lastEventId: "1" },
      { event: "message", data: "ünïcödé 🎉", lastEventId: "1" },
      { event: "third", data: '{"n":[1,null]}', lastEventId: "1" },
    ]);
    await expectEnd(seen, "finished");
  });

  test("the headers are those of an event stream, and none is hop-by-hop", async () => {
    const { client } = await start((stream) => stream.sleep(60_000));
    expect(client.headers).toMatchObject({
      "content-type": "text/event-stream",
      "cache-control": "no-cache, no-transform",
      "x-accel-buffering": "no",
    });
    // Those of Node's own HTTP/1.1 are Node's affair.
    if (way.carrier === "HTTP/1.1") return;
    for (const name of ["connection", "keep-alive", "transfer-encoding"])
      expect(client.headers).not.toHaveProperty(name);
  });

  test("the first bytes leave before the callback writes anything", async () => {
    const { client } = await start(() => new Promise(() => undefined));
    await client.until(/^: everstream heartbeat=15000\n\n$/);
  });

  test("a client that leaves is seen: signals, handlers, reason, and the loop ends by itself", async () => {
    const ended = deferred<unknown>();
    const { client, seen } = await start(async (stream) => {
      try {
        for (let count = 0; ; count++) {
          await stream.writeSSE({ data: `${count}` });
          await stream.sleep(1);
        }
      } catch (error) {
        ended.resolve(error);
        throw error;
      }
    });
    await client.until("data: 3");
    client.destroy();
    expect(await ended.promise).toMatchObject({ code: "STREAM_ENDED" });
    await expectEnd(seen, way.left);
  });

  test("a client that leaves is seen while the callback waits for something else, for ever", async () => {
    const { client, seen } = await start(() => new Promise(() => undefined));
    await client.until(": everstream");
    client.destroy();
    await expectEnd(seen, way.left);
  });

  test("writing after the end is quiet, send and sleep say so", async () => {
    const { client, seen } = await start(() => new Promise(() => undefined));
    client.destroy();
    await seen.reason;
    const { stream } = seen;
    const before = client.received;
    await Promise.all([
      stream.writeSSE({ data: "x" }),
      stream.writeSSE({ data: Promise.resolve("x") }),
      stream.write("x"),
      stream.write(new Uint8Array([120])),
      stream.writeln("x"),
      stream.comment("x"),
      stream.close(),
    ]);
    stream.abort();
    await expect(stream.send("x")).rejects.toMatchObject({ code: "STREAM_ENDED" });
    await expect(stream.sleep(0)).rejects.toMatchObject({ code: "STREAM_ENDED" });
    // Nobody waits for these; they must not end the process.
    void stream.send("x");
    void stream.sleep(0);
    await new Promise((resolve) => setImmediate(resolve));
    expect(client.received).toBe(before);
    await expectEnd(seen, way.left);
  });

  test("a callback that throws tells the client once, masked, and ends the stream", async () => {
    const onError = vi.fn();
    const { client, seen } = await start(
      async (stream) => {
        await stream.writeSSE({ data: "before" });
        throw new Error("postgres://user:secret@db");
      },
      { onError },
    );
    expect(await client.ended).toBe("complete");
    expect(client.events.map(({ event, data }) => [event, data])).toEqual([
      ["message", "before"],
      ["error", '{"code":"INTERNAL_ERROR","message":"Internal error"}'],
    ]);
    expect(onError).toHaveBeenCalledExactlyOnceWith(new Error("postgres://user:secret@db"), seen.stream);
    await expectEnd(seen, "failed");
  });

  test("abort() ends the stream now, close() after all that was written", async () => {
    const first = await start(async (stream) => {
      await stream.writeSSE({ data: "1" });
      stream.abort();
      await stream.writeSSE({ data: "2" });
    });
    await first.client.ended;
    expect(first.client.events.map(({ data }) => data)).toEqual(["1"]);
    await expectEnd(first.seen, "aborted");

    const second = await start(async (stream) => {
      void stream.writeSSE({ data: new Promise((resolve) => setImmediate(resolve, "1")) });
      await stream.close();
      await stream.writeSSE({ data: "2" });
      await new Promise(() => undefined);
    });
    expect(await second.client.ended).toBe("complete");
    expect(second.client.events.map(({ data }) => data)).toEqual(["1"]);
    await expectEnd(second.seen, "finished");
  });

  test("closeStreams drains: a time to come back, a whole body, and every signal fires", async () => {
    const { client, seen } = await start(() => new Promise(() => undefined));
    await client.until(": everstream");
    await closeStreams();
    expect(await client.ended).toBe("complete");
    expect(client.body).toMatch(/\n\nretry: \d+\n\n$/);
    await expectEnd(seen, "drained");
  });

  test("a HEAD request gets the headers and runs no callback", async () => {
    const callback = vi.fn();
    const serving = await serve(callback);
    const client = await serving.open({ method: "HEAD" });
    expect(client.status).toBe(200);
    expect(client.headers["content-type"]).toBe("text/event-stream");
    expect(await client.ended).toBe("complete");
    expect(client.body).toBe("");
    expect(callback).not.toHaveBeenCalled();
    expect(pulseSize()).toBe(0);
  });

  test("hundreds of clients that come and leave leave nothing behind", async () => {
    const reasons: CloseReason[] = [];
    const serving = await serve(async (stream) => {
      void stream.closeReason.then((reason) => reasons.push(reason));
      await stream.writeSSE({ data: "1" });
      await new Promise(() => undefined);
    });
    const clients = await Promise.all(Array.from({ length: 200 }, () => serving.open()));
    await Promise.all(clients.map((client) => client.until("data: 1")));
    expect(pulseSize()).toBe(200);
    for (const client of clients) client.destroy();
    await eventually(() => expect(reasons).toHaveLength(200));
    expect(new Set(reasons)).toEqual(new Set([way.left]));
    await eventually(() => expect(pulseSize()).toBe(0));
  });

  test("an ended stream is garbage, though its callback never returns", async () => {
    const references: WeakRef<object>[] = [];
    const serving = await serve(async (stream, requestSignal) => {
      const payload = { stream, requestSignal };
      references.push(new WeakRef(payload));
      requestSignal()?.addEventListener("abort", () => void payload);
      await stream.writeSSE({ data: "1" });
      await new Promise(() => undefined);
      await stream.writeSSE({ data: String(payload) });
    });
    const clients = await Promise.all(Array.from({ length: 10 }, () => serving.open()));
    await Promise.all(clients.map((client) => client.until("data: 1")));
    for (const client of clients) client.destroy();
    await eventually(() => expect(pulseSize()).toBe(0));
    await eventually(async () => {
      await collectGarbage();
      expect(references.filter((reference) => reference.deref() !== undefined)).toEqual([]);
    });
    expect(references).toHaveLength(10);
  });

  test("an idle stream gets heartbeats, also visible ones", async () => {
    const quiet = await start(() => new Promise(() => undefined), { heartbeat: 50 });
    await quiet.client.until(/^: everstream heartbeat=50\n\n:\n\n:\n\n/);
    const visible = await start(() => new Promise(() => undefined), {
      heartbeat: { event: "heartbeat", every: 50, data: "alive" },
    });
    await visible.client.until(({ events }) => events.length === 2);
    expect(visible.client.events[1]).toEqual({ event: "heartbeat", data: "alive", lastEventId: "" });
  });

  test("writes of one turn leave together, also when each is awaited", async () => {
    const { client } = await start(async (stream) => {
      await new Promise((resolve) => setImmediate(resolve));
      // Where others have the processor, these may take longer than a burst is given.
      vi.useFakeTimers({ toFake: ["performance"] });
      for (let count = 0; count < 100; count++) await stream.writeSSE({ data: `${count}` });
      vi.useRealTimers();
    });
    expect(await client.ended).toBe("complete");
    expect(client.events.map(({ data }) => Number(data))).toEqual(
      Array.from({ length: 100 }, (_, index) => index),
    );
    if ("chunks" in client) {
      const chunks = client.chunks as string[];
      expect(chunks.filter((chunk) => chunk.includes("data: "))).toHaveLength(1);
    }
  });

  test("bytes of every size arrive as they were written", async () => {
    const sizes = [1, 15, 16, 17, 4095, 4096, 16_383, 16_384, 65_536, 300_000];
    const text = (size: number, index: number): string => `${index}`.repeat(size).slice(0, size - 1);
    const { client } = await start(async (stream) => {
      for (const [index, size] of sizes.entries()) {
        await stream.writeln(text(size, index));
        await stream.write(new TextEncoder().encode(`${text(size, index)}\n`));
        await stream.sleep(0);
      }
    });
    expect(await client.ended).toBe("complete");
    const wanted = sizes.map((size, index) => `${text(size, index)}\n`.repeat(2)).join("");
    expect(client.body.slice(client.body.indexOf("\n\n") + 2)).toBe(wanted);
  });

  test("writing nothing sends nothing, and does not end the body", async () => {
    const { client } = await start(async (stream) => {
      await stream.writeSSE({ data: "before" });
      await stream.sleep(1);
      await stream.write(new Uint8Array(0));
      await stream.write("");
      await stream.sleep(1);
      await stream.writeSSE({ data: "after" });
    });
    expect(await client.ended).toBe("complete");
    expect(client.events.map(({ data }) => data)).toEqual(["before", "after"]);
  });

  test("the cursor comes from the header, or else from the query", async () => {
    const cursors: unknown[] = [];
    const serving = await serve((stream) => void cursors.push(stream.lastEventId));
    await (await serving.open()).ended;
    await (await serving.open({ headers: { "last-event-id": "e-7" } })).ended;
    expect(cursors).toEqual([undefined, "e-7"]);
  });
});
