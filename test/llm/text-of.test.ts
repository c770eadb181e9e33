import { type TextStream, textOf } from "everstream/llm";
import { describe, expect, test } from "vitest";
import { isEverstreamError } from "../../src/errors.ts";

async function collect(stream: TextStream, signal?: AbortSignal): Promise<string[]> {
  const texts: string[] = [];
  for await (const text of textOf(stream, signal)) texts.push(text);
  return texts;
}

async function* from<T>(...chunks: T[]): AsyncGenerator<T> {
  yield* chunks;
}

/** A source whose `next` never answers, and that counts how often it was told to stop. */
function parkedSource(): { stream: AsyncIterable<string>; returns: () => number } {
  let returns = 0;
  const iterator: AsyncIterator<string> = {
    next: () => new Promise(() => undefined),
    return: () => {
      returns++;
      return Promise.resolve({ done: true, value: undefined });
    },
  };
  return { stream: { [Symbol.asyncIterator]: () => iterator }, returns: () => returns };
}

describe("what is text", () => {
  test("strings, as any async iterable yields them", async () => {
    expect(await collect(from("Hello", ", ", "world"))).toEqual(["Hello", ", ", "world"]);
  });

  test("message chunks with string content", async () => {
    expect(await collect(from({ content: "a" }, { content: "b" }))).toEqual(["a", "b"]);
  });

  test("text blocks, without the reasoning and the tool calls beside them", async () => {
    const chunks = from(
      { content: [{ type: "reasoning", reasoning: "hm" }] },
      {
        content: [
          { type: "text", text: "one " },
          { type: "text_delta", text: "two" },
        ],
      },
      { content: [{ type: "tool_call_chunk", args: "{}" }, "three"] },
      { content: [{ type: "text", citations: [] }] },
    );
    expect(await collect(chunks)).toEqual(["one two", "three"]);
  });

  test("empty text is not yielded", async () => {
    expect(
      await collect(
        from<string | { content: string | { type: string }[] }>("", { content: "" }, "x", { content: [] }),
      ),
    ).toEqual(["x"]);
  });

  test("a web stream, too", async () => {
    const stream = new ReadableStream<string>({
      start(controller) {
        controller.enqueue("web");
        controller.close();
      },
    });
    expect(await collect(stream)).toEqual(["web"]);
  });
});

describe("what is not", () => {
  const strange: [string, unknown][] = [
    ["a number", 7],
    ["null", null],
    ["an object without content", { delta: "x" }],
    ["content that is no text", { content: 7 }],
    ["a block without a type", { content: [{ text: "x" }] }],
    ["a text block whose text is no string", { content: [{ type: "text", text: 7 }] }],
    ["a pair, as graphs stream them", [{ content: "x" }, {}]],
  ];
  test.each(strange)("%s is refused, and the source stopped", async (_, chunk) => {
    let stopped = false;
    async function* source(): AsyncGenerator<string> {
      try {
        yield chunk as string;
        yield "never read";
      } finally {
        stopped = true;
      }
    }
    const error = await collect(source()).catch((reason: unknown) => reason);
    expect(isEverstreamError(error, "UNSUPPORTED_CHUNK")).toBe(true);
    expect(stopped).toBe(true);
  });

  test("the message names types and never quotes content", async () => {
    const error = await collect(from({ content: { secret: "s3cret" } } as never)).catch(
      (reason: Error) => reason,
    );
    expect((error as Error).message).not.toContain("s3cret");
  });

  test("a promise that was not awaited is refused at once, with the remedy", () => {
    expect(() => textOf(Promise.resolve(from("x")) as never)).toThrow(/await it/);
  });
});

describe("abort", () => {
  test("ends an iteration whose source is parked, with the signal's reason, and stops the source", async () => {
    const source = parkedSource();
    const controller = new AbortController();
    const reading = collect(source.stream, controller.signal);
    const reason = new Error("the reader left");
    controller.abort(reason);
    await expect(reading).rejects.toBe(reason);
    expect(source.returns()).toBe(1);
  });

  test("before the start: rejects and still stops the source", async () => {
    const source = parkedSource();
    await expect(collect(source.stream, AbortSignal.abort("gone"))).rejects.toBe("gone");
    expect(source.returns()).toBe(1);
  });

  test("while the consumer is busy: the source stops now, the next step rejects, and every later one", async () => {
    let stopped = false;
    async function* source(): AsyncGenerator<string> {
      try {
        yield "a";
        yield "b";
      } finally {
        stopped = true;
      }
    }
    const controller = new AbortController();
    const texts = textOf(source(), controller.signal);
    expect(await texts.next()).toEqual({ done: false, value: "a" });
    controller.abort("gone");
    await Promise.resolve();
    expect(stopped).toBe(true);
    await expect(texts.next()).rejects.toBe("gone");
    await expect(texts.next()).rejects.toBe("gone");
  });

  test("cancels a web stream even while a read waits", async () => {
    const cancelled = new Promise((resolve) => {
      const stream = new ReadableStream<string>({ cancel: resolve });
      const controller = new AbortController();
      collect(stream, controller.signal).catch(() => undefined);
      controller.abort("gone");
    });
    expect(await cancelled).toBe("gone");
  });

  test("after the end changes nothing and leaves no listener", async () => {
    const controller = new AbortController();
    let listeners = 0;
    const { signal } = controller;
    const counted = {
      aborted: false,
      reason: undefined,
      addEventListener: (...args: Parameters<AbortSignal["addEventListener"]>) => {
        listeners++;
        signal.addEventListener(...args);
      },
      removeEventListener: (...args: Parameters<AbortSignal["removeEventListener"]>) => {
        listeners--;
        signal.removeEventListener(...args);
      },
    } as unknown as AbortSignal;
    const texts = textOf(from("a"), counted);
    for await (const text of texts) expect(text).toBe("a");
    expect(listeners).toBe(0);
    controller.abort("late");
    expect(await texts.next()).toEqual({ done: true, value: undefined });
  });

  test("a source whose return() fails does not end the process", async () => {
    const stream: AsyncIterable<string> = {
      [Symbol.asyncIterator]: () => ({
        next: () => new Promise(() => undefined),
        return: () => Promise.reject(new Error("could not stop")),
      }),
    };
    const controller = new AbortController();
    const reading = collect(stream, controller.signal);
    controller.abort("gone");
    await expect(reading).rejects.toBe("gone");
    await new Promise((resolve) => setImmediate(resolve));
  });
});

describe("ending", () => {
  test("breaking out of the loop waits for the source's cleanup", async () => {
    let cleaned = false;
    async function* source(): AsyncGenerator<string> {
      try {
        yield "a";
        yield "b";
      } finally {
        await Promise.resolve();
        cleaned = true;
      }
    }
    for await (const text of textOf(source())) {
      expect(text).toBe("a");
      break;
    }
    expect(cleaned).toBe(true);
  });

  test("return() takes effect while next() waits", async () => {
    const source = parkedSource();
    const texts = textOf(source.stream);
    const waiting = texts.next();
    await texts.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(source.returns()).toBe(1);
  });

  test("steps asked for at once are answered in order, and all of them end", async () => {
    const texts = textOf(from("a", "", "b"));
    const results = await Promise.all([texts.next(), texts.next(), texts.next(), texts.next()]);
    expect(results.map((result) => result.value)).toEqual(["a", "b", undefined, undefined]);
  });

  test("the source's own error comes through", async () => {
    const failure = new Error("provider down");
    // biome-ignore lint/correctness/useYield: it fails before its first chunk
    async function* source(): AsyncGenerator<string> {
      throw failure;
    }
    await expect(collect(source())).rejects.toBe(failure);
  });
});
