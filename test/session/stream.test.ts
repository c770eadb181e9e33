// What a callback can do with its stream, in memory.
import { closeStreams, type EventStreamWriter, type HandlerOptions, streamEvents } from "everstream";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { pulseSize } from "../../src/session/pulse.ts";
import { Session } from "../../src/session/session.ts";
import { deferred } from "./deferred.ts";
import { eventually, until } from "./eventually.ts";
import { collectGarbage } from "./garbage.ts";

const reported = vi.spyOn(console, "error").mockImplementation(() => undefined);

beforeEach(() => reported.mockClear());
afterEach(() => eventually(() => expect(pulseSize()).toBe(0)));

const request = (): Request => new Request("http://test/");
const forever = (): Promise<never> => new Promise(() => undefined);
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** The text that a callback's stream sends, the opening comment aside. */
async function textOf(
  callback: (stream: EventStreamWriter) => unknown,
  options?: HandlerOptions,
): Promise<string> {
  const text = await streamEvents(request(), async (stream) => void (await callback(stream)), options).text();
  return text.replace(/^: everstream heartbeat=\d+\n\n/, "");
}

/** A stream that stays open, with its writer. */
function open(options?: HandlerOptions): { response: Response; stream: EventStreamWriter } {
  let stream: EventStreamWriter | undefined;
  const response = streamEvents(
    request(),
    (given) => {
      stream = given;
      return forever();
    },
    options,
  );
  return { response, stream: stream as unknown as EventStreamWriter };
}

describe("writeSSE", () => {
  test("writes what it is given, in the standard's form", async () => {
    const text = await textOf(async (stream) => {
      await stream.writeSSE({ data: "a\nb", event: "e", id: "7", retry: 5 });
      await stream.writeSSE({ data: "" });
      await stream.writeSSE({ data: "x", event: "", id: "" });
    });
    expect(text).toBe("event: e\ndata: a\ndata: b\nid: 7\nretry: 5\n\ndata: \n\ndata: x\nid: \n\n");
  });

  test("leaves data out where only an id or a time is given, and puts it in where a type is", async () => {
    const text = await textOf(async (stream) => {
      await stream.writeSSE({ id: "8" } as unknown as { data: string });
      await stream.writeSSE({ retry: 9 } as unknown as { data: string });
      await stream.writeSSE({ event: "e" } as unknown as { data: string });
    });
    expect(text).toBe("id: 8\n\nretry: 9\n\nevent: e\ndata: \n\n");
  });

  test("takes a counter for an id", async () => {
    expect(await textOf((stream) => stream.writeSSE({ data: "x", id: 3 as unknown as string }))).toBe(
      "data: x\nid: 3\n\n",
    );
  });
});

describe("send", () => {
  test("writes JSON, or nothing", async () => {
    const text = await textOf(async (stream) => {
      await stream.send("a", { b: [1, "ü\n"] });
      await stream.send("a", null);
      await stream.send("a", "text");
      await stream.send("a");
    });
    expect(text).toBe(
      'event: a\ndata: {"b":[1,"ü\\n"]}\n\nevent: a\ndata: null\n\nevent: a\ndata: "text"\n\nevent: a\ndata: \n\n',
    );
  });

  test("refuses everstream's own types, and what has no JSON form, and goes on", async () => {
    const codes: unknown[] = [];
    const text = await textOf(async (stream) => {
      for (const args of [["sse:gap"], ["a\nb"], ["a", () => undefined], ["a", 1n]] as [string, unknown][]) {
        await stream.send(...args).catch(({ code }) => codes.push(code));
      }
      await stream.send("ok");
    });
    expect(codes).toEqual(["RESERVED_TYPE", "INVALID_EVENT", "NOT_SERIALIZABLE", "NOT_SERIALIZABLE"]);
    expect(text).toBe("event: ok\ndata: \n\n");
  });
});

describe("write, writeln and comment", () => {
  test("text and bytes go out as they are, in order", async () => {
    const text = await textOf(async (stream) => {
      expect(await stream.write("data: a\n")).toBe(stream);
      expect(await stream.writeln("data: b")).toBe(stream);
      await stream.write(new TextEncoder().encode("data: ü\n\n"));
      await stream.comment("c\r\nd");
    });
    expect(text).toBe("data: a\ndata: b\ndata: ü\n\n: c\n: d\n\n");
  });

  test("they keep their place behind an event whose data is still to come", async () => {
    const data = deferred<string>();
    const text = await textOf(async (stream) => {
      void stream.writeSSE({ data: data.promise });
      void stream.write("data: 2\n");
      void stream.write(new TextEncoder().encode("\n"));
      void stream.comment("3");
      void stream.send("four");
      await turn();
      data.resolve("1");
      await stream.writeSSE({ data: "5" });
    });
    expect(text).toBe("data: 1\n\ndata: 2\n\n: 3\n\nevent: four\ndata: \n\ndata: 5\n\n");
  });

  test("data that never comes holds the stream only as long as its client stays", async () => {
    const { response, stream } = open();
    const write = stream.writeSSE({ data: forever() });
    const behind = stream.writeSSE({ data: "behind" });
    const close = stream.close();
    await response.body?.cancel();
    await Promise.all([write, behind, close]);
    expect(await stream.closeReason).toBe("cancelled");
  });

  test("data that fails after the end is no unhandled rejection", async () => {
    const unhandled = vi.fn();
    process.on("unhandledRejection", unhandled);
    const data = deferred<string>();
    const { response, stream } = open();
    void stream.writeSSE({ data: data.promise });
    await response.body?.cancel();
    data.reject(new Error("too late"));
    await turn();
    process.off("unhandledRejection", unhandled);
    expect(unhandled).not.toHaveBeenCalled();
  });
});

describe("pipe", () => {
  const chunks = (...parts: (string | Uint8Array)[]): ReadableStream =>
    new ReadableStream({
      start(controller) {
        for (const part of parts) controller.enqueue(part);
        controller.close();
      },
    });

  test("writes all that a stream yields, and goes on after it", async () => {
    const text = await textOf(async (stream) => {
      await stream.writeSSE({ data: "before" });
      await stream.pipe(chunks("data: a\n", new Uint8Array(0), new TextEncoder().encode("data: b\n\n")));
      await stream.writeSSE({ data: "after" });
    });
    expect(text).toBe("data: before\n\ndata: a\ndata: b\n\ndata: after\n\n");
  });

  test("its source is cancelled when the client leaves, and pipe resolves", async () => {
    const cancelled = vi.fn();
    const { response, stream } = open();
    const piped = stream.pipe(new ReadableStream({ cancel: cancelled }));
    await response.body?.cancel();
    await piped;
    expect(cancelled).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ code: "STREAM_ENDED" }));
    const late = vi.fn();
    await stream.pipe(new ReadableStream({ cancel: late }));
    expect(late).toHaveBeenCalledTimes(1);
  });

  test("an error of its source is the callback's", async () => {
    const broken = new ReadableStream({ pull: () => Promise.reject(new Error("upstream")) });
    const onError = vi.fn();
    const text = await textOf((stream) => stream.pipe(broken), { onError });
    expect(onError.mock.calls[0]?.[0]).toMatchObject({ message: "upstream" });
    expect(text).toContain("event: error");
  });
});

describe("the end", () => {
  test("each closeReason, signal and onAbort that is asked for late knows", async () => {
    const { response, stream } = open();
    await response.body?.cancel();
    expect(await Promise.all([stream.closeReason, stream.closeReason])).toEqual(["cancelled", "cancelled"]);
    expect(stream.signal.aborted).toBe(true);
    expect(stream.signal).toBe(stream.signal);
    expect(stream.signal.reason).toMatchObject({ code: "STREAM_ENDED" });
  });

  test("the first end counts, and handlers run once", async () => {
    const { response, stream } = open();
    const onAbort = vi.fn();
    stream.onAbort(onAbort);
    stream.abort();
    await stream.close();
    stream.abort();
    await closeStreams();
    await response.body?.cancel();
    expect(await stream.closeReason).toBe("aborted");
    expect(onAbort).toHaveBeenCalledTimes(1);
  });

  test("sleep that was broken off says so whether or not the signal had been asked for", async () => {
    for (const ask of [true, false]) {
      const { response, stream } = open();
      if (ask) expect(stream.signal.aborted).toBe(false);
      const slept = stream.sleep(60_000);
      await response.body?.cancel();
      await expect(slept).rejects.toMatchObject({ code: "STREAM_ENDED" });
    }
  });

  test("sleeps and writes that are over leave no listener behind", async () => {
    let listeners = 0;
    const { onClose } = Session.prototype;
    const spy = vi.spyOn(Session.prototype, "onClose").mockImplementation(function (this: Session, listener) {
      listeners++;
      const forget = onClose.call(this, listener);
      return () => {
        listeners--;
        forget();
      };
    });
    await textOf(async (stream) => {
      const before = listeners;
      await stream.sleep(0);
      await stream.writeSSE({ data: Promise.resolve("x") });
      await stream.pipe(new Response("data: y\n\n").body as ReadableStream);
      await turn();
      expect(listeners).toBe(before);
    });
    spy.mockRestore();
  });

  test("an ended stream is garbage, though its callback never returns", async () => {
    const cancelled: (() => Promise<void> | undefined)[] = [];
    const references = Array.from({ length: 10 }, () => {
      let reference: WeakRef<object> | undefined;
      const response = streamEvents(request(), async (stream) => {
        const payload = { stream };
        reference = new WeakRef(payload);
        stream.onAbort(() => void payload);
        void stream.writeSSE({ data: forever() });
        await forever();
        await stream.writeSSE({ data: String(payload) });
      });
      cancelled.push(() => response.body?.cancel());
      return reference;
    });
    await collectGarbage();
    expect(references.every((reference) => reference?.deref() !== undefined)).toBe(true);
    await Promise.all(cancelled.splice(0).map((cancel) => cancel()));
    await collectGarbage();
    expect(references.map((reference) => reference?.deref())).toEqual(Array(10).fill(undefined));
  });
});

describe("errors after the end", () => {
  test.each([
    ["the stream's own", (stream: EventStreamWriter) => stream.sleep(60_000)],
    [
      "an abort by way of its signal",
      (stream: EventStreamWriter) =>
        new Promise((_resolve, reject) => {
          stream.signal.addEventListener("abort", () =>
            reject(new DOMException("This was aborted", "AbortError")),
          );
        }),
    ],
    [
      "an error that was caused by it",
      (stream: EventStreamWriter) =>
        stream.sleep(60_000).catch((cause: unknown) => {
          throw new Error("the step failed", { cause });
        }),
    ],
  ])("%s: nobody is told", async (_name, wait) => {
    const onError = vi.fn();
    const response = streamEvents(request(), async (stream) => void (await wait(stream)), { onError });
    await response.body?.cancel();
    await turn();
    expect(onError).not.toHaveBeenCalled();
    expect(reported).not.toHaveBeenCalled();
  });

  test("any other is still told, and not to the client", async () => {
    const onError = vi.fn();
    const response = streamEvents(
      request(),
      async (stream) => {
        await stream.closeReason;
        throw new Error("cleaning up failed");
      },
      { onError },
    );
    await response.body?.cancel();
    await eventually(() => expect(onError).toHaveBeenCalledTimes(1));
  });
});

describe("a refused write", () => {
  const later = (text: string): Promise<string> => new Promise((resolve) => setImmediate(resolve, text));

  test("is reported where nobody waits for it, and only there", async () => {
    await textOf(async (stream) => {
      const refuse = (data: string | Promise<string>) => stream.writeSSE({ event: "sse:mine", data });
      await refuse("awaited").catch(() => undefined);
      await expect(refuse(later("awaited"))).rejects.toMatchObject({ code: "RESERVED_TYPE" });
      await Promise.allSettled([refuse("one"), refuse(later("two"))]);
      await turn();
      await turn();
      expect(reported).not.toHaveBeenCalled();
      void refuse("dropped");
      void refuse(later("dropped"));
      await until(() => reported.mock.calls.length === 2);
    });
    expect(reported).toHaveBeenCalledTimes(2);
  });

  test("is not reported where `onError` is told of the very same error", async () => {
    const onError = vi.fn();
    await textOf(
      async (stream) => {
        const text = later("").then(() => Promise.reject(new Error("no text")));
        void stream.writeSSE({ data: text });
        await text;
      },
      { onError },
    );
    await turn();
    expect(onError).toHaveBeenCalledOnce();
    expect(reported).not.toHaveBeenCalled();
  });
});

describe("errors", () => {
  test("a client that was told by the callback itself is not told twice", async () => {
    const text = await textOf(async (stream) => {
      await stream.writeSSE({ event: "error", data: "my own words" });
      throw new Error("secret");
    });
    expect(text).toBe("event: error\ndata: my own words\n\n");
  });

  test("onError is awaited before the end", async () => {
    const text = await textOf(() => Promise.reject(new Error("secret")), {
      onError: async (_error, stream) => {
        await turn();
        await stream.send("error", { code: "MINE" });
      },
    });
    expect(text).toBe('event: error\ndata: {"code":"MINE"}\n\n');
  });

  test("what was written before, un-awaited, comes before the error", async () => {
    const data = deferred<string>();
    const text = await textOf(
      (stream) => {
        void stream.writeSSE({ data: data.promise });
        setImmediate(() => data.resolve("first"));
        throw new Error("secret");
      },
      { onError: vi.fn() },
    );
    expect(text).toMatch(/^data: first\n\nevent: error\n/);
  });
});

describe("closeStreams", () => {
  test("gives each client a time of its own to come back at, within a second for few", async () => {
    const opened = Array.from({ length: 20 }, () => open());
    await closeStreams();
    const texts = await Promise.all(opened.map(({ response }) => response.text()));
    const times = texts.map((text) => Number(/\nretry: (\d+)\n\n$/.exec(text)?.[1]));
    expect(Math.max(...times)).toBeLessThanOrEqual(1000);
    expect(new Set(times).size).toBeGreaterThan(5);
  });

  test("spreads the ends where it is asked to", async () => {
    const opened = Array.from({ length: 10 }, () => open());
    const ended = (): number => opened.filter(({ stream }) => stream.closed).length;
    vi.useFakeTimers({ toFake: ["performance", "setTimeout"] });
    const closing = closeStreams({ within: 1000 });
    const seen: number[] = [];
    for (let step = 0; step < 10; step++) {
      seen.push(ended());
      await vi.advanceTimersByTimeAsync(100);
    }
    await closing;
    vi.useRealTimers();
    expect(ended()).toBe(10);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(seen[5]).toBeGreaterThanOrEqual(4);
    expect(seen[5]).toBeLessThanOrEqual(7);
    await Promise.all(opened.map(({ response }) => response.text()));
  });

  test.each([Number.NaN, -5, "30s", Number.POSITIVE_INFINITY])(
    "refuses to be done within %s, and ends nothing",
    async (within) => {
      const { stream, response } = open();
      const closing = closeStreams({ within: within as number });
      await expect(closing).rejects.toMatchObject({ code: "INVALID_OPTION" });
      expect(stream.closed).toBe(false);
      await response.body?.cancel();
    },
  );

  test("leaves a stream that opens later alone", async () => {
    const first = open();
    await closeStreams();
    const second = open();
    expect([first.stream.closed, second.stream.closed]).toEqual([true, false]);
    await Promise.all([first.response.text(), second.response.body?.cancel()]);
  });
});

test("a burst within one turn leaves as one chunk, a long one in few", async () => {
  const sizes: number[] = [];
  const response = streamEvents(request(), async (stream) => {
    await turn();
    for (let count = 0; count < 1000; count++) void stream.writeSSE({ data: `${count}` });
    // A timer could come before the turn's end, on a machine with other work.
    await turn();
    // Nor is the machine's pace to say how much of it a turn has time for.
    vi.useFakeTimers({ toFake: ["performance"] });
    for (let count = 0; count < 1000; count++) await stream.writeSSE({ data: "x".repeat(1000) });
    vi.useRealTimers();
  });
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  for (let part = await reader.read(); !part.done; part = await reader.read()) sizes.push(part.value.length);
  // The opening comment, the first burst, and the second in pieces of some 16 kB at the least.
  expect(sizes.length).toBeLessThanOrEqual(3 + 63);
  expect(sizes[1]).toBe(Array.from({ length: 1000 }, (_, count) => `data: ${count}\n\n`).join("").length);
});
