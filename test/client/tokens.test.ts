import { createEventStream, EverstreamError, type TokenStream } from "everstream/client";
import { describe, expect, test, vi } from "vitest";
import { closing, record, startServer } from "./server.ts";

const token = (content: unknown): string => `event: token\ndata: ${JSON.stringify({ content })}\n\n`;
const DONE = "event: done\ndata: \n\n";

function outcome(stream: TokenStream): Promise<string | Error> {
  return new Promise((resolve) => {
    stream.onDone(resolve);
    stream.onError(resolve);
  });
}

describe("createEventStream", () => {
  test("gives each token, then the whole text", async () => {
    const server = await startServer((exchange) => exchange.open(token("Hel") + token("lo") + DONE));
    const stream = closing(createEventStream(server.url));
    const tokens = record<string>();
    stream.onToken(tokens.add);
    expect(await outcome(stream)).toBe("Hello");
    expect(tokens.all).toEqual(["Hel", "lo"]);
    await (await server.exchange(0)).gone;
  });

  test("reads LangChain's content blocks, of which text alone is text", async () => {
    const blocks = [
      { type: "text", text: "a" },
      { type: "tool_use", id: "1", name: "f", input: { text: "no" } },
      { type: "text", text: "b" },
    ];
    const server = await startServer((exchange) =>
      exchange.open(token(blocks) + token("") + token([]) + token("c") + DONE),
    );
    const stream = closing(createEventStream(server.url));
    const tokens = record<string>();
    stream.onToken(tokens.add);
    expect(await outcome(stream)).toBe("abc");
    expect(tokens.all).toEqual(["ab", "c"]);
  });

  test("gives callbacks that come late what they missed", async () => {
    const server = await startServer((exchange) => exchange.open(token("a") + token("b")));
    const stream = closing(createEventStream(server.url));
    const early = record<string>();
    stream.onToken(early.add);
    await early.count(2);
    const late = record<string>();
    stream.onToken(late.add);
    (await server.exchange(0)).response.write(token("c") + DONE);
    expect(await outcome(stream)).toBe("abc");
    expect(late.all).toEqual(["ab", "c"]);
    const done = record<string>();
    stream.onDone(done.add);
    stream.onToken(done.add);
    expect(done.all).toEqual(["abc", "abc"]);
  });

  test("tells a callback that registers another within a call each token once", async () => {
    const server = await startServer((exchange) => exchange.open(token("a") + token("b") + DONE));
    const stream = closing(createEventStream(server.url));
    const inner: string[] = [];
    let registered = false;
    stream.onToken(() => {
      if (!registered) stream.onToken((content) => inner.push(content));
      registered = true;
    });
    let calls = 0;
    stream.onDone(() => stream.onDone(() => calls++));
    await outcome(stream);
    expect(inner).toEqual(["a", "b"]);
    expect(calls).toBe(1);
  });

  test.each([
    ['{"message":"Rate limited","code":"RATE"}', "Rate limited", { message: "Rate limited", code: "RATE" }],
    ["it broke", "it broke", "it broke"],
    ["", "The server reported an error.", ""],
    ["null", "null", null],
  ])("tells the server's error %j", async (data, message, cause) => {
    const server = await startServer((exchange) =>
      exchange.open(`${token("a")}event: error\ndata: ${data}\n\n${DONE}`),
    );
    const error = await outcome(closing(createEventStream(server.url)));
    expect(error).toBeInstanceOf(EverstreamError);
    expect(error).toMatchObject({ code: "SERVER_ERROR", message, cause });
    expect(server.exchanges).toHaveLength(1);
  });

  test("tells a lost connection from it, and does not run the prompt again", async () => {
    const server = await startServer();
    const stream = closing(createEventStream(server.url));
    const tokens = record<string>();
    stream.onToken(tokens.add);
    const exchange = await server.exchange(0);
    exchange.open(token("a"));
    await tokens.count(1);
    exchange.cut();
    expect(await outcome(stream)).toMatchObject({
      code: "NOT_RESUMABLE",
      cause: { cause: { code: "NETWORK" } },
    });
    expect(server.exchanges).toHaveLength(1);
  });

  test("an end without `done` is not taken for success", async () => {
    const server = await startServer((exchange) => {
      exchange.open(token("a"));
      exchange.response.end();
    });
    const stream = closing(createEventStream(server.url));
    expect(await outcome(stream)).toMatchObject({ code: "NOT_RESUMABLE" });
    expect(server.exchanges).toHaveLength(1);
  });

  test("a refusal says why", async () => {
    const server = await startServer(({ response }) =>
      response.writeHead(400).end('{"error":"message required"}'),
    );
    expect(await outcome(createEventStream(server.url))).toMatchObject({
      code: "HTTP_STATUS",
      cause: { status: 400, body: '{"error":"message required"}' },
    });
  });

  test("where events carry ids, as a run's do, it resumes and loses nothing", async () => {
    const server = await startServer((exchange, index) => {
      exchange.open(index === 0 ? `id: 1\n${token("a")}` : `id: 2\n${token("b")}id: 3\n${DONE}`);
      if (index === 0) setImmediate(exchange.cut);
    });
    const stream = closing(createEventStream(server.url, { minDelay: 1 }));
    expect(await outcome(stream)).toBe("ab");
    expect(server.exchanges[1]?.request.headers["last-event-id"]).toBe("1");
  });

  test("a gap in a run is an error, not a text with a hole", async () => {
    const gap = { reason: "trimmed", after: "1", next: "9" };
    const server = await startServer((exchange) =>
      exchange.open(
        `id: 1\n${token("a")}event: sse:gap\ndata: ${JSON.stringify(gap)}\n\n${token("b")}${DONE}`,
      ),
    );
    const error = await outcome(createEventStream(server.url));
    expect(error).toMatchObject({ code: "NOT_RESUMABLE", cause: gap });
  });

  test.each([["{not json"], ['{"text":"a"}'], ["7"], ["null"], ['{"content":{"a":1}}']])(
    "a token that can't be read is an error, not a crash: %s",
    async (data) => {
      const server = await startServer((exchange) => exchange.open(`event: token\ndata: ${data}\n\n${DONE}`));
      const error = await outcome(createEventStream(server.url));
      expect(error).toMatchObject({ code: "INVALID_DATA" });
      expect((error as Error).message).toContain(JSON.stringify(data));
    },
  );

  test("a callback that throws is reported and harms nothing", async () => {
    const report = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const server = await startServer((exchange) => exchange.open(token("a") + token("b") + DONE));
    const stream = closing(createEventStream(server.url));
    stream.onToken(() => {
      throw new Error("oops");
    });
    expect(await outcome(stream)).toBe("ab");
    expect(report).toHaveBeenCalledTimes(2);
    report.mockRestore();
  });

  test("after close() nothing is called, and close() may come twice", async () => {
    const server = await startServer((exchange) => exchange.open(token("a") + token("b") + DONE));
    const stream = createEventStream(server.url);
    const calls: unknown[] = [];
    stream.onToken((content) => {
      calls.push(content);
      stream.close();
      stream.close();
    });
    stream.onDone((text) => calls.push(text));
    stream.onError((error) => calls.push(error));
    await (await server.exchange(0)).gone;
    stream.onToken((content) => calls.push(content));
    expect(calls).toEqual(["a"]);
  });

  test("what one callback closes calls no other one", async () => {
    const server = await startServer((exchange) => exchange.open(token("a") + DONE));
    for (const event of ["onToken", "onDone"] as const) {
      const stream = closing(createEventStream(server.url));
      const calls: string[] = [];
      await new Promise<void>((resolve) => {
        stream[event](() => {
          stream.close();
          queueMicrotask(resolve);
        });
        stream[event](() => calls.push("second"));
      });
      stream.onToken(() => calls.push("late token"));
      stream.onDone(() => calls.push("late end"));
      expect(calls).toEqual([]);
    }
  });

  test("what its signal closes in a callback calls no other one", async () => {
    const server = await startServer((exchange) => exchange.open(token("a")));
    const control = new AbortController();
    const stream = createEventStream(server.url, { signal: control.signal });
    const calls: string[] = [];
    stream.onToken(() => control.abort());
    stream.onToken(() => calls.push("second"));
    await (await server.exchange(0)).gone;
    expect(calls).toEqual([]);
  });

  test("can send the prompt by POST", async () => {
    const server = await startServer((exchange) => exchange.open(token(exchange.body) + DONE));
    const stream = createEventStream(server.url, { method: "POST", body: "prompt" });
    expect(await outcome(stream)).toBe("prompt");
    expect(server.exchanges).toHaveLength(1);
  });
});
