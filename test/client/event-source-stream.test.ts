// EventSource.fromReadableStream(), as proposed in whatwg/html#12272 and asked for by the suite's eventsource-from-readable-stream.
import { EventSource } from "everstream/client";
import { describe, expect, test, vi } from "vitest";
import { closing, record, startServer } from "./server.ts";

const encoder = new TextEncoder();

function streamOf(...chunks: (string | Uint8Array)[]): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      for (const chunk of chunks)
        controller.enqueue(typeof chunk === "string" ? encoder.encode(chunk) : chunk);
      controller.close();
    },
  });
}

/** All that happens to a source until it is closed. */
async function historyOf(source: EventSource): Promise<unknown[]> {
  const seen: unknown[] = [];
  source.onopen = () => seen.push(["open", source.readyState]);
  for (const type of ["message", "custom"]) {
    source.addEventListener(type, ({ data, lastEventId, origin }) => {
      seen.push([type, data, lastEventId, origin]);
    });
  }
  await new Promise<void>((resolve) => {
    source.onerror = () => {
      seen.push(["error", source.readyState]);
      resolve();
    };
  });
  return seen;
}

describe("an EventSource of a stream", () => {
  test("takes no larger events than it is told to", async () => {
    const report = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const stream = streamOf("data: a\n\n", `data: ${"b".repeat(100)}`, "\n\ndata: c\n\n");
    const source = EventSource.fromReadableStream(stream, { maxEventBytes: 50 });
    expect(await historyOf(source)).toEqual([
      ["open", 1],
      ["message", "a", "", "null"],
      ["error", 2],
    ]);
    expect(report).toHaveBeenCalledWith(expect.objectContaining({ code: "EVENT_TOO_LARGE" }));
    report.mockRestore();
  });

  test("begins as one that connects, and has locked the stream", () => {
    const stream = streamOf("data: a\n\n");
    const source = closing(EventSource.fromReadableStream(stream));
    expect(source).toBeInstanceOf(EventSource);
    expect([source.readyState, source.url, source.withCredentials]).toEqual([0, "about:event-stream", false]);
    expect([source.lastEventId, source.reconnectionTime]).toEqual(["", 3000]);
    expect(stream.locked).toBe(true);
    expect(() => EventSource.fromReadableStream(stream)).toThrow(TypeError);
    source.close();
    expect(source.readyState).toBe(2);
  });

  test("hands out its events and ends with an error, once, without connecting again", async () => {
    const source = EventSource.fromReadableStream(
      streamOf(
        "\ufeff: c\nda",
        "ta: cr\r\rid: 4",
        "2\nevent: custom\ndata: lf\ndata\n\nretry: 5\nretry: x\n",
        "data: lost",
      ),
    );
    expect(await historyOf(source)).toEqual([
      ["open", 1],
      ["message", "cr", "", "null"],
      ["custom", "lf\n", "42", "null"],
      ["error", 2],
    ]);
    expect([source.lastEventId, source.reconnectionTime]).toEqual(["42", 5]);
  });

  test.each([
    ["an empty stream", streamOf(), [["open", 1]]],
    [
      "a stream that fails",
      new ReadableStream<Uint8Array>({ start: (controller) => controller.error(new Error("gone")) }),
      [["open", 1]],
    ],
    [
      "a stream of something else",
      new ReadableStream({ start: (controller) => controller.enqueue(7) }),
      [["open", 1]],
    ],
  ])("is closed by %s", async (_, stream, before) => {
    const source = EventSource.fromReadableStream(stream as ReadableStream<Uint8Array>);
    expect(await historyOf(source)).toEqual([...before, ["error", 2]]);
  });

  test.each(["at once", "when it opens", "at an event"])(
    "cancels the stream where it is closed %s",
    async (when) => {
      let cancelled: (reason?: unknown) => void;
      const cancel = new Promise((resolve) => {
        cancelled = resolve;
      });
      const stream = new ReadableStream<Uint8Array>({
        start: (controller) => controller.enqueue(encoder.encode("data: a\n\ndata: b\n\n")),
        cancel: () => cancelled("cancelled"),
      });
      const source = EventSource.fromReadableStream(stream);
      const seen: string[] = [];
      source.onopen = () => when === "when it opens" && source.close();
      source.onmessage = ({ data }) => {
        seen.push(data);
        source.close();
      };
      source.onerror = () => seen.push("error");
      if (when === "at once") source.close();
      expect(await cancel).toBe("cancelled");
      expect(seen).toEqual(when === "at an event" ? ["a"] : []);
    },
  );

  test("takes one answer after the other from one stream, and forgets what a cut has left of an event", async () => {
    const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
    const source = closing(EventSource.fromReadableStream(readable));
    const seen = record<[string, string]>();
    source.onmessage = ({ data, lastEventId }) => seen.add([data, lastEventId]);
    await streamOf("retry: 7\nid: 1\ndata: first\n\nid: 2\nevent: other\ndata: cut").pipeTo(writable, {
      preventClose: true,
    });
    await seen.count(1);
    expect([source.lastEventId, source.reconnectionTime]).toEqual(["1", 7]);
    source.reset();
    await streamOf("\ufeffdata: second\n\n").pipeTo(writable, { preventClose: true });
    expect(await seen.count(2)).toEqual([
      ["first", "1"],
      ["second", "1"],
    ]);
  });

  test("eventsource-from-readable-stream-fetch: reads the body of a fetch, and lets go of it", async () => {
    const server = await startServer((exchange) => exchange.open("id: 42\nretry: 5000\ndata: hello\n\n"));
    const { body } = await fetch(server.url, { method: "POST", headers: { Authorization: "Bearer x" } });
    const source = EventSource.fromReadableStream(body as ReadableStream<Uint8Array>);
    const seen = record<string>();
    source.onmessage = ({ data }) => seen.add(data);
    expect(await seen.count(1)).toEqual(["hello"]);
    expect([source.lastEventId, source.reconnectionTime]).toEqual(["42", 5000]);
    source.close();
    await server.exchanges[0]?.gone;
  });
});
