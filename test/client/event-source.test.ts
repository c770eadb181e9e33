// Each name leads with the file of the web platform suite's eventsource/ folder that asks the same; docs/client.md has the table.
import { EventSource } from "everstream/client";
import { describe, expect, test, vi } from "vitest";
import { closing, record, startServer } from "./server.ts";

/** Whatever arrives as `message`, by data. */
function messages(source: EventSource): ReturnType<typeof record<string>> {
  const seen = record<string>();
  source.onmessage = ({ data }) => seen.add(data);
  return seen;
}

/** The next event of the type. */
function next(source: EventSource, type: string): Promise<MessageEvent<string>> {
  return new Promise((resolve) => source.addEventListener(type, resolve, { once: true }));
}

/** What a stream leads to, read to its end; the server then ends the stream for good. */
async function formatOf(text: string, type = "message"): Promise<string[]> {
  const server = await startServer((exchange, index) => {
    if (index > 0) return exchange.response.writeHead(204).end();
    exchange.open(text.includes("retry") ? "" : "retry: 1\n");
    return exchange.response.end(text);
  });
  const source = closing(new EventSource(server.url));
  const data: string[] = [];
  source.addEventListener(type, (event) => data.push((event as MessageEvent<string>).data));
  while (source.readyState !== source.CLOSED) await next(source, "error");
  return data;
}

describe("the interface", () => {
  test("eventsource-prototype, -constructor-no-new, interfaces: constants on class and prototype, attributes, a subclass of EventTarget", () => {
    for (const holder of [EventSource, EventSource.prototype]) {
      expect(Object.getOwnPropertyDescriptor(holder, "CONNECTING")).toMatchObject({
        value: 0,
        writable: false,
      });
      expect([holder.CONNECTING, holder.OPEN, holder.CLOSED]).toEqual([0, 1, 2]);
    }
    expect(EventSource.prototype).toBeInstanceOf(EventTarget);
    expect(EventSource.length).toBe(1);
    const source = new EventSource("http://127.0.0.1:1/");
    source.close();
    expect([source.onopen, source.onmessage, source.onerror]).toEqual([null, null, null]);
    expect(source.withCredentials).toBe(false);
    expect(() => Object.assign(source, { readyState: 7 })).toThrow(TypeError);
    expect(() => (EventSource as unknown as (url: string) => void)("http://127.0.0.1:1/")).toThrow(TypeError);
    Object.assign(EventSource.prototype, { given: () => true });
    expect((source as unknown as { given(): boolean }).given()).toBe(true);
    Reflect.deleteProperty(EventSource.prototype, "given");
  });

  test("eventsource-constructor-url-bogus, -stringify, -empty-url, eventsource-url: parsed at once, absolute", () => {
    expect(() => new EventSource("http://this is invalid/")).toThrow(
      expect.objectContaining({ name: "SyntaxError" }),
    );
    expect(() => new EventSource("")).toThrow(DOMException);
    vi.stubGlobal("location", { href: "http://127.0.0.1:1/page" });
    const urls = [{ toString: () => "x?y" }, 1, null, undefined, ""].map((given) => {
      const source = new EventSource(given as unknown as string);
      source.close();
      return source.url;
    });
    vi.unstubAllGlobals();
    const names = ["x?y", "1", "null", "undefined", "page"];
    expect(urls).toEqual(names.map((name) => `http://127.0.0.1:1/${name}`));
  });

  test("eventsource-onopen, -onmessage, -readyState: handlers, their order and the three states", async () => {
    const server = await startServer((exchange) => exchange.open("data: a\n\n"));
    const source = closing(new EventSource(server.url));
    const seen: string[] = [];
    expect(source.readyState).toBe(EventSource.CONNECTING);
    source.onmessage = () => seen.push("replaced");
    source.addEventListener("message", () => seen.push("listener"));
    source.onmessage = function (event) {
      expect(this).toBe(source);
      expect(event).toBeInstanceOf(MessageEvent);
      seen.push("handler");
    };
    source.onerror = () => seen.push("taken away");
    source.onerror = null;
    const opened = await next(source, "open");
    expect([opened.bubbles, opened.cancelable, "data" in opened]).toEqual([false, false, false]);
    expect(source.readyState).toBe(EventSource.OPEN);
    await next(source, "message");
    expect(seen).toEqual(["handler", "listener"]);
    source.close();
    expect(source.readyState).toBe(EventSource.CLOSED);
  });

  test("eventsource-eventtarget: objects with handleEvent, `once`, `signal`, removal", async () => {
    const server = await startServer((exchange) => exchange.open("data: a\n\ndata: b\n\n"));
    const source = closing(new EventSource(server.url));
    const seen: string[] = [];
    const removed = (): unknown => seen.push("removed");
    source.addEventListener("message", {
      handleEvent: ({ data }: MessageEvent<string>) => void seen.push(data),
    });
    source.addEventListener("message", () => seen.push("once"), { once: true });
    source.addEventListener("message", removed);
    source.removeEventListener("message", removed);
    source.addEventListener("message", removed, { signal: AbortSignal.abort() });
    await messages(source).count(2);
    expect(seen).toEqual(["a", "once", "b"]);
  });
});

describe("the connection", () => {
  test("request-accept, request-cache-control: what it asks for", async () => {
    const server = await startServer((exchange) => exchange.open("data: a\n\n"));
    await messages(closing(new EventSource(server.url))).count(1);
    const { headers, method } = server.exchanges[0]?.request ?? {};
    expect([method, headers?.accept, headers?.["cache-control"]]).toEqual([
      "GET",
      "text/event-stream",
      "no-cache",
    ]);
    expect(headers?.["last-event-id"]).toBeUndefined();
  });

  test("request-credentials, eventsource-cross-origin: `withCredentials` reaches fetch; headers may be asked for", async () => {
    const calls: RequestInit[] = [];
    const fetch: typeof globalThis.fetch = (_, init) => {
      calls.push(init ?? {});
      return Promise.resolve(new Response("", { status: 204 }));
    };
    for (const withCredentials of [false, true]) {
      const source = new EventSource("http://x/", {
        withCredentials,
        fetch,
        headers: async () => ({ a: "b" }),
      });
      expect(source.withCredentials).toBe(withCredentials);
      await next(source, "error");
    }
    expect(calls.map(({ credentials }) => credentials)).toEqual(["same-origin", "include"]);
    expect(new Headers(calls[0]?.headers).get("a")).toBe("b");
  });

  test.each([204, 205, 210, 299, 404, 410, 503])(
    "request-status-error: %i ends it for good",
    async (status) => {
      const server = await startServer(({ response }) => {
        response.writeHead(status, { "content-type": "text/event-stream" }).end();
      });
      const source = closing(new EventSource(server.url));
      const { type } = await next(source, "error");
      expect([type, source.readyState]).toEqual(["error", 2]);
      expect(server.exchanges).toHaveLength(1);
    },
  );

  test.each(["text/x-bogus", "x bogus", "text/event-streams", ""])(
    "format-mime-bogus, format-mime-valid-bogus: %j ends it for good",
    async (type) => {
      const server = await startServer(({ response }) => {
        response.setHeader("content-type", type);
        response.end("data: a\n\n");
      });
      const source = closing(new EventSource(server.url));
      const error = await next(source, "error");
      expect(source.readyState).toBe(2);
      expect([error.bubbles, error.cancelable, Object.hasOwn(error, "data")]).toEqual([false, false, false]);
    },
  );

  test.each(["text/event-stream;", "text/event-stream;charset=windows-1252", "TEXT/EVENT-STREAM"])(
    "format-mime-trailing-semicolon, format-utf-8: %s is read as UTF-8",
    async (type) => {
      const server = await startServer(({ response }) => {
        response.writeHead(200, { "content-type": type }).write("data:ok…\n\n");
      });
      expect(await messages(closing(new EventSource(server.url))).count(1)).toEqual(["ok…"]);
    },
  );

  test.each([301, 302, 303, 307, 308])(
    "request-redirect: %i is followed, the origin is that of the end",
    async (status) => {
      const target = await startServer((exchange) => exchange.open("data: a\n\n"));
      const server = await startServer(({ response }) =>
        response.writeHead(status, { location: target.url }).end(),
      );
      const source = closing(new EventSource(server.url));
      const { origin } = await next(source, "message");
      expect(origin).toBe(new URL(target.url).origin);
      expect(source.url).toBe(server.url);
    },
  );

  test("eventsource-reconnect, format-field-id-2, format-field-retry: with the last event ID, after the server's time", async () => {
    const server = await startServer((exchange, index) => {
      exchange.open(index === 0 ? "retry: 1\nid: …\ndata: 0\n\n" : `data: ${index}\n\n`);
      if (index < 2) exchange.response.end();
    });
    const source = closing(new EventSource(server.url));
    const states: number[] = [];
    source.onerror = () => states.push(source.readyState);
    const ids: string[] = [];
    source.addEventListener("message", (event) => ids.push((event as MessageEvent).lastEventId));
    expect(await messages(source).count(3)).toEqual(["0", "1", "2"]);
    expect(ids).toEqual(["…", "…", "…"]);
    expect(states).toEqual([0, 0]);
    const sent = server.exchanges.map(({ request }) => request.headers["last-event-id"]);
    const utf8 = Buffer.from("…").toString("latin1");
    expect(sent).toEqual([undefined, utf8, utf8]);
  });

  test("eventsource-reconnect: attempts that fail are made again", async () => {
    const server = await startServer((exchange, index) => {
      if (index === 0) exchange.open("retry: 1\ndata: 0\n\n");
      else if (index === 2) exchange.open("data: 2\n\n");
      if (index < 2) setImmediate(exchange.cut);
    });
    const random = vi.spyOn(Math, "random").mockReturnValue(0);
    expect(await messages(closing(new EventSource(server.url))).count(2)).toEqual(["0", "2"]);
    random.mockRestore();
  });

  test("headers that are none are refused at once; those of a function are reported, and end it", async () => {
    const headers = { "bad header": "x" };
    expect(() => new EventSource("http://127.0.0.1:1/", { headers })).toThrow(TypeError);
    const report = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const fetch = vi.fn(globalThis.fetch);
    const source = new EventSource("http://127.0.0.1:1/", { fetch, headers: () => headers });
    await next(source, "error");
    expect(source.readyState).toBe(EventSource.CLOSED);
    expect(fetch).not.toHaveBeenCalled();
    expect(report).toHaveBeenCalledWith(expect.any(TypeError));
    report.mockRestore();
  });

  test("a function for headers that fails is asked again", async () => {
    const server = await startServer((exchange) => exchange.open("data: a\n\n"));
    const random = vi.spyOn(Math, "random").mockReturnValue(0);
    let asked = 0;
    const source = new EventSource(server.url, {
      headers() {
        if (asked++ === 0) throw new Error("no token yet");
        return {};
      },
    });
    expect(await messages(closing(source)).count(1)).toEqual(["a"]);
    random.mockRestore();
  });

  test("keeps nothing of a connection that is over", async () => {
    const signals: AbortSignal[] = [];
    const server = await startServer((exchange, index) => {
      exchange.open(`retry: 1\ndata: ${index}\n\n`);
      if (index < 3) exchange.response.end();
    });
    const fetch: typeof globalThis.fetch = (input, init) => {
      signals.push(init?.signal as AbortSignal);
      return globalThis.fetch(input, init);
    };
    const source = closing(new EventSource(server.url, { fetch }));
    await messages(source).count(4);
    expect(new Set(signals).size).toBe(4);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true, true, false]);
    source.close();
    expect(signals[3]?.aborted).toBe(true);
  });

  test.each(["before the answer", "as it opens", "by another status"])(
    "lets go of the body of a fetch that knows nothing of signals, closed %s",
    async (when) => {
      let answer: (response: Response) => void = () => undefined;
      const fetch = vi.fn((): Promise<Response> => new Promise((resolve) => (answer = resolve)));
      const source = new EventSource("http://127.0.0.1:1/", { fetch });
      source.onopen = () => source.close();
      await expect.poll(() => fetch.mock.calls).toHaveLength(1);
      if (when === "before the answer") source.close();
      await new Promise<void>((resolve) => {
        const body = new ReadableStream<Uint8Array>({ cancel: resolve });
        const status = when === "by another status" ? 500 : 200;
        answer(new Response(body, { status, headers: { "content-type": "text/event-stream" } }));
      });
      expect(source.readyState).toBe(EventSource.CLOSED);
    },
  );

  test("an id that no header can carry is not sent, nor is an older one", async () => {
    const server = await startServer((exchange, index) => {
      exchange.open(["retry: 1\nid: 1\ndata: 0\n\n", "id:  x\ndata: 1\n\n", "data: 2\n\n"][index]);
      if (index < 2) exchange.response.end();
    });
    await messages(closing(new EventSource(server.url))).count(3);
    expect(server.exchanges.map(({ request }) => request.headers["last-event-id"])).toEqual([
      undefined,
      "1",
      undefined,
    ]);
    expect(server.exchanges[2]?.request.url).toBe("/stream");
  });

  test("eventsource-close, eventsource-request-cancellation: no event after close, the request is given up", async () => {
    const server = await startServer((exchange) => exchange.open("data: a\n\ndata: b\n\n"));
    const source = new EventSource(server.url);
    const seen = messages(source);
    source.addEventListener("message", () => source.close());
    source.onerror = () => seen.add("error");
    await seen.count(1);
    await (await server.exchange(0)).gone;
    expect(seen.all).toEqual(["a"]);
    source.close();
    expect(source.readyState).toBe(2);
  });

  test("eventsource-close: also while it waits, from the error's own handler", async () => {
    const server = await startServer((exchange) => {
      exchange.open("retry: 1\n\n");
      exchange.response.end();
    });
    const source = new EventSource(server.url);
    await new Promise<void>((resolve) => {
      source.onerror = () => {
        source.close();
        resolve();
      };
    });
    expect(server.exchanges).toHaveLength(1);
    expect(source.readyState).toBe(2);
  });
});

describe("a server that means harm", () => {
  test("asks for no wait between connections, and gets one", async () => {
    const server = await startServer((exchange) => {
      exchange.open("retry: 0\n\n");
      exchange.response.end();
    });
    const source = closing(new EventSource(server.url));
    const timers = vi.spyOn(globalThis, "setTimeout");
    const waitMs = await new Promise<number | undefined>((resolve) => {
      source.onerror = () => {
        timers.mockClear();
        queueMicrotask(() => resolve(timers.mock.calls[0]?.[1]));
      };
    });
    timers.mockRestore();
    expect(source.reconnectionTime).toBe(0);
    expect(waitMs).toBeGreaterThanOrEqual(100);
  });

  test.each([
    ["the default", 16 * 1024 * 1024, {}],
    ["the option's", 1000, { maxEventBytes: 1000 }],
  ])(
    "sends an event without an end: it is closed at %s bound, and its developer is told",
    async (_, bound, options) => {
      const report = vi.spyOn(console, "error").mockImplementation(() => undefined);
      const server = await startServer((exchange) => {
        exchange.open();
        const chunk = `data: ${"x".repeat(Math.min(bound / 2, 65_536))}\n`;
        const write = (): void => {
          for (let more = true; more && !exchange.response.destroyed; ) more = exchange.response.write(chunk);
        };
        exchange.response.on("drain", write);
        write();
      });
      const source = closing(new EventSource(server.url, options));
      await next(source, "error");
      expect(source.readyState).toBe(2);
      await server.exchanges[0]?.gone;
      expect(report).toHaveBeenCalledWith(expect.objectContaining({ code: "EVENT_TOO_LARGE" }));
      report.mockRestore();
    },
  );

  test("can't be given a bound that is none", () => {
    expect(() => new EventSource("http://127.0.0.1:1/", { maxEventBytes: -1 })).toThrow(
      expect.objectContaining({ code: "INVALID_OPTION" }),
    );
  });
});

const LONG = "x".repeat(2048);

describe("the format, through the class", () => {
  test.each([
    ["format-bom, format-bom-2", "\ufeffdata:1\n\n\ufeffdata:2\n\ndata:3\nretry: 1\n\n", ["1", "3"]],
    ["format-bom-2", "\ufeff\ufeffdata:1\n\ndata:2\nretry: 1\n\n", ["2"]],
    [
      "format-comments",
      `data:1\r:\0\n:\r\ndata:2\n:${LONG}\rdata:3\n:data:fail\r:${LONG}\ndata:4\n\n`,
      ["1\n2\n3\n4"],
    ],
    ["format-data-before-final-empty-line", "id:1\ndata:1\n\nid:2\ndata:2", ["1"]],
    ["format-field-data", "data:\n\ndata\ndata\n\ndata:test\n\n", ["", "\n", "test"]],
    ["format-field-event-empty", "event: \ndata:a\n\n", ["a"]],
    [
      "format-field-parsing",
      "data:\0\ndata:  2\rData:1\ndata\0:2\ndata:1\r\0data:4\nda-ta:3\rdata_5\ndata:3\rdata:\r\n data:32\ndata:4\n\n",
      ["\0\n 2\n1\n3\n\n4"],
    ],
    [
      "format-field-unknown",
      "data:test\n data\ndata\nfoobar:xxx\njustsometext\n:thisisacommentyay\ndata:test\n\n",
      ["test\n\ntest"],
    ],
    ["format-leading-space", "data:\ttest\rdata: \ndata:test\n\n", ["\ttest\n\ntest"]],
    ["format-newlines", "data:test\r\ndata\ndata:test\r\n\r", ["test\n\ntest"]],
    ["format-null-character", "data:\0\n\n", ["\0"]],
    [
      "event-data",
      "data:msg\ndata: msg\n\n:\nfalsefield:msg\n\nfalsefield:msg\nData:data\n\ndata\n\ndata:end\n\n",
      ["msg\nmsg", "", "end"],
    ],
  ])("%s", async (_, text, data) => {
    expect(await formatOf(text)).toEqual(data);
  });

  test.each([
    ["-bogus", "retry:3000\nretry:1000x\ndata:x\n\n"],
    ["-empty", "retry:3000\nretry\nretry:\ndata:x\n\n"],
  ])("format-field-retry%s: changes nothing", async (_, text) => {
    const server = await startServer((exchange) => {
      exchange.open();
      exchange.response.end(text);
    });
    const source = closing(new EventSource(server.url));
    const waits = vi.spyOn(globalThis, "setTimeout");
    expect(await messages(source).count(1)).toEqual(["x"]);
    await next(source, "error");
    await expect.poll(() => waits.mock.calls.map(([, ms]) => ms)).toContain(3000);
    waits.mockRestore();
    expect(server.exchanges).toHaveLength(1);
  });

  test("format-field-event, field-name-event: the type decides who hears it", async () => {
    expect(await formatOf("event:test\ndata:x\n\ndata:y\n\n", "test")).toEqual(["x"]);
  });

  test("format-data-before-final-empty-line: an id that no blank line follows is none, for the next connection too", async () => {
    const server = await startServer((exchange) => {
      exchange.open();
      exchange.response.end("retry:1\ndata:test1\n\nid:test\ndata:test2");
    });
    const source = closing(new EventSource(server.url));
    const seen = record<string[]>();
    source.onmessage = ({ data, lastEventId }) => seen.add([data, lastEventId]);
    expect((await seen.count(2)).slice(0, 2)).toEqual([
      ["test1", ""],
      ["test1", ""],
    ]);
    expect(server.exchanges[1]?.request.headers["last-event-id"]).toBeUndefined();
  });

  test.each([
    ["persists", "id:1\ndata:a\n\ndata:b\n\nid:2\ndata:c\n\ndata:d\n\n", ["1", "1", "2", "2"]],
    ["is reset", "id:1\ndata:a\n\nid:\ndata:b\n\ndata:c\n\n", ["1", "", ""]],
    ["is reset without a colon", "id:1\ndata:a\n\nid\ndata:b\n\ndata:c\n\n", ["1", "", ""]],
    ...["\0\0", "x\0", "\0x", "x\0x", " \0"].map((id): [string, string, string[]] => [
      `is none where it holds NUL, as ${JSON.stringify(id)}`,
      `id: ${id}\ndata:hello\n\n`,
      [""],
    ]),
  ])("format-field-id-3, format-field-id-null: the last event ID %s", async (_, text, ids) => {
    const server = await startServer((exchange) => exchange.open(text));
    const seen = record<string>();
    closing(new EventSource(server.url)).onmessage = ({ lastEventId }) => seen.add(lastEventId);
    expect(await seen.count(ids.length)).toEqual(ids);
  });

  test("an event of the server's that is called `error` is a message with data", async () => {
    const server = await startServer((exchange) => exchange.open("event: error\ndata: mine\n\n"));
    const source = closing(new EventSource(server.url));
    expect((await next(source, "error")).data).toBe("mine");
    expect(source.readyState).toBe(1);
  });
});
