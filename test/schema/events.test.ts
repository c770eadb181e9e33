import { type } from "arktype";
import { asText, createHub, defineEvents, type EverstreamError, type Hub, memoryLog } from "everstream";
import { createStreamStore, openEventStream, type StreamEvent } from "everstream/client";
import { useEventStream } from "everstream/react";
import { serveForTest } from "everstream/testing";
import * as v from "valibot";
import { afterEach, describe, expect, expectTypeOf, it, onTestFinished, vi } from "vitest";
import { z } from "zod";

const events = defineEvents({
  token: z.object({ content: z.string() }),
  price: v.object({ eur: v.pipe(v.number(), v.minValue(0)) }),
  seat: type({ row: "string", number: "number > 0" }),
  done: z.undefined(),
  line: asText(z.string().max(5)),
  message: z.string(),
  date: z.codec(z.iso.datetime(), z.date(), {
    decode: (text) => new Date(text),
    encode: (date) => date.toISOString(),
  }),
});

const hubs: Hub[] = [];
function typedHub() {
  const hub = createHub({ log: memoryLog(), events });
  hubs.push(hub);
  return hub;
}
afterEach(() => Promise.all(hubs.splice(0).map((hub) => hub.close())));

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => "none",
    (error: EverstreamError) => error.code,
  );

describe("defineEvents", () => {
  it("refuses types that nobody can publish, and what is no schema", () => {
    const schema = z.string();
    for (const name of ["sse:live", "a\nb", ""]) {
      expect(() => defineEvents({ [name]: schema })).toThrow(
        expect.objectContaining({ code: "INVALID_OPTION" }),
      );
    }
    expect(() => defineEvents({ a: {} as typeof schema })).toThrow(
      /"a" is no schema that follows Standard Schema/,
    );
  });

  it("reads data for other consumers: parsed, validated, transformed", () => {
    expect(events.read("date", '"2026-01-01T00:00:00Z"')).toEqual({ data: new Date("2026-01-01T00:00:00Z") });
    expect(events.read("line", "12")).toEqual({ data: "12" });
    expect(events.read("done", "")).toEqual({ data: undefined });
    expect(events.read("other", "1")).toBeUndefined();
    expect(events.read("token", "{")).toMatchObject({ error: { code: "INVALID_DATA" } });
  });

  it("tells a schema that fails from data that does", () => {
    const broken = defineEvents({
      a: {
        "~standard": {
          version: 1,
          vendor: "test",
          validate: () => {
            throw new Error("out of order");
          },
        },
      },
    });
    expect(broken.read("a", "1")).toMatchObject({ error: { code: "CALLBACK_FAILED" } });
  });
});

describe("a hub with events", () => {
  it("publishes what its definition allows, as it was given", async () => {
    const hub = typedHub();
    const stored = hub.events("t", { from: "start" });
    await hub.publish("t", { type: "date", data: "2026-01-01T00:00:00Z" });
    await hub.publish("t", { data: "a message" });
    await hub.publish("t", { type: "line", text: "[1]" });
    await hub.publish("t", { type: "done" });
    const read = [];
    for await (const event of stored) {
      read.push([event.type, event.data]);
      if (event.type === "done") break;
    }
    expect(read).toEqual([
      ["date", "2026-01-01T00:00:00Z"],
      ["message", "a message"],
      ["line", "[1]"],
      ["done", ""],
    ]);
  });

  it.each([
    ["zod", { type: "token", data: { content: 7 } }, /content: /],
    ["valibot", { type: "price", data: { eur: -1 } }, /eur: /],
    ["arktype", { type: "seat", data: { row: "a", number: 0 } }, /number: /],
  ])("refuses what a schema of %s refuses, with the path of the fault", async (_, event, path) => {
    const hub = typedHub();
    const before = await hub.position();
    const publishing = hub.publish("t", event as { type: "done" });
    await expect(publishing).rejects.toMatchObject({
      code: "INVALID_DATA",
      message: expect.stringMatching(path),
    });
    expect(await hub.position()).toBe(before);
  });

  it("refuses types that it does not define, also those that every object has", async () => {
    const hub = createHub({ events: defineEvents({ a: z.number() }) });
    hubs.push(hub);
    for (const name of ["b", "toString"]) {
      expect(await codeOf(hub.publish("t", { type: name as "a", data: 1 }))).toBe("UNKNOWN_TYPE");
    }
  });

  it("publishes all of a batch or nothing, and names the event that is wrong", async () => {
    const hub = typedHub();
    const before = await hub.position();
    const publishing = hub.publish("t", [
      { type: "token", data: { content: "a" } },
      { type: "token", data: { content: 1 } as unknown as { content: string } },
    ]);
    await expect(publishing).rejects.toMatchObject({
      code: "INVALID_DATA",
      message: /^Event 1 of the batch/,
    });
    expect(await hub.position()).toBe(before);
  });

  it("finds at publish what JSON would not carry to the clients", async () => {
    const hub = createHub({ events: defineEvents({ when: z.date(), count: z.number() }) });
    hubs.push(hub);
    expect(await codeOf(hub.publish("t", { type: "when", data: new Date() }))).toBe("INVALID_DATA");
    expect(await codeOf(hub.publish("t", { type: "count", data: Number.NaN }))).toBe("INVALID_DATA");
  });

  it("wants `text` where the definition says so, and `data` where not", async () => {
    const hub: Hub = typedHub();
    expect(await codeOf(hub.publish("t", { type: "line", data: "abc" }))).toBe("INVALID_DATA");
    expect(await codeOf(hub.publish("t", { type: "message", text: "abc" }))).toBe("INVALID_DATA");
    expect(await codeOf(hub.publish("t", { type: "line", text: "too long" }))).toBe("INVALID_DATA");
  });

  it("waits for schemas that answer later", async () => {
    const later = defineEvents({ even: z.number().refine(async (value) => value % 2 === 0, "must be even") });
    const hub = createHub({ events: later });
    hubs.push(hub);
    expect(await codeOf(hub.publish("t", { type: "even", data: 2 }))).toBe("none");
    expect(await codeOf(hub.publish("t", { type: "even", data: 3 }))).toBe("INVALID_DATA");
  });

  it("publishes past its definition where told to, and refuses schemas that were not defined", async () => {
    const hub: Hub = typedHub();
    expect(await codeOf(hub.publish("t", { type: "anything", data: 1 }, { unchecked: true }))).toBe("none");
    expect(() => createHub({ events: { a: z.string() } as never })).toThrow(
      expect.objectContaining({ code: "INVALID_OPTION" }),
    );
  });
});

describe("a client with events", () => {
  async function serveEvents() {
    const hub = createHub();
    hubs.push(hub);
    const server = await serveForTest({
      fetch: (request) => hub.respond(request, { topics: "t", from: "start" }),
    });
    onTestFinished(() => server.close());
    return { hub, url: server.url };
  }

  it("hands out parsed and validated data of the types it defines, and goes on after bad ones", async () => {
    const { hub, url } = await serveEvents();
    await hub.publish("t", { type: "token", data: { content: "a" } });
    await hub.publish("t", { type: "unknown", data: 1 });
    await hub.publish("t", { type: "token", data: { content: 1 } });
    await hub.publish("t", { type: "price", text: "{" });
    await hub.publish("t", { type: "date", data: "2026-01-01T00:00:00Z" });
    const invalid: [string, StreamEvent][] = [];
    const stream = openEventStream(url, {
      events,
      onInvalid: ({ code }, event) => invalid.push([code, event]),
    });
    const read: unknown[] = [];
    for await (const event of stream) {
      read.push(event.data);
      if (event.type === "date") break;
    }
    expect(read).toEqual([{ content: "a" }, new Date("2026-01-01T00:00:00Z")]);
    expect(invalid.map(([code, { type }]) => [code, type])).toEqual([
      ["INVALID_DATA", "token"],
      ["INVALID_DATA", "price"],
    ]);
    expect(stream.lastEventId).toBe(await hub.position());
  });

  it("reports the first bad event of each type where nobody asks for them", async () => {
    const { hub, url } = await serveEvents();
    const reported = vi.spyOn(console, "error").mockImplementation(() => undefined);
    onTestFinished(() => reported.mockRestore());
    for (const content of [1, 2]) await hub.publish("t", { type: "token", data: { content } });
    await hub.publish("t", { type: "done" });
    const stream = openEventStream(url, { events });
    for await (const event of stream) if (event.type === "done") break;
    expect(reported).toHaveBeenCalledTimes(1);
    expect(reported.mock.calls[0]?.[0]).toMatchObject({ code: "INVALID_DATA" });
  });

  it("tells that a schema which answers later can't be used", async () => {
    const { hub, url } = await serveEvents();
    await hub.publish("t", { type: "even", data: 2 });
    await hub.publish("t", { type: "done" });
    const later = defineEvents({ even: z.number().refine(async () => true), done: z.undefined() });
    const codes: string[] = [];
    const stream = openEventStream(url, { events: later, onInvalid: ({ code }) => codes.push(code) });
    for await (const event of stream) if (event.type === "done") break;
    expect(codes).toEqual(["INVALID_OPTION"]);
  });

  it("gives several stores of one plain stream their events, each its own", async () => {
    const { hub, url } = await serveEvents();
    const stream = openEventStream(url);
    onTestFinished(() => stream.close());
    const typed = createStreamStore(stream, {
      events,
      initial: "",
      reduce: (text, event) => (event.type === "token" ? text + event.data.content : text),
    });
    const plain = createStreamStore(stream, { initial: 0, reduce: (count) => count + 1 });
    onTestFinished(typed.subscribe(() => undefined));
    onTestFinished(plain.subscribe(() => undefined));
    await hub.publish("t", { type: "token", data: { content: "a" } });
    await hub.publish("t", { type: "other", data: 1 });
    await expect.poll(() => plain.getSnapshot().data).toBe(2);
    expect(typed.getSnapshot().data).toBe("a");
  });
});

describe("types", () => {
  it("hold the definition from publish to hook", () => {
    const checked = async (): Promise<void> => {
      const hub = typedHub();
      await hub.publish("t", { type: "token", data: { content: "a" } });
      await hub.publish("t", { type: "seat", data: { row: "a", number: 1 }, key: "a1" });
      await hub.publish("t", { data: "a message needs no type" });
      await hub.publish("t", [{ type: "done" }, { type: "line", text: "x" }]);
      // @ts-expect-error: no such type
      await hub.publish("t", { type: "tokn", data: { content: "a" } });
      // @ts-expect-error: wrong data (zod)
      await hub.publish("t", { type: "token", data: { content: 1 } });
      // @ts-expect-error: wrong data (valibot)
      await hub.publish("t", { type: "price", data: { eur: "1" } });
      // @ts-expect-error: wrong data (arktype)
      await hub.publish("t", { type: "seat", data: { row: 1, number: 1 } });
      // @ts-expect-error: data is missing
      await hub.publish("t", { type: "token" });
      // @ts-expect-error: this one is no text
      await hub.publish("t", { type: "token", text: "a" });
      // @ts-expect-error: this one is text
      await hub.publish("t", { type: "line", data: "a" });

      hub.subscribe("t", (event) => {
        if (event.type === "token") expectTypeOf(event.data).toEqualTypeOf<{ content: string }>();
        if (event.type === "sse:gap") expectTypeOf(event.data.reason).toExtend<string>();
      });

      const stream = openEventStream("/", { events });
      for await (const event of stream) {
        if (event.type === "date") expectTypeOf(event.data).toEqualTypeOf<Date>();
        if (event.type === "price") expectTypeOf(event.data).toEqualTypeOf<{ eur: number }>();
        if (event.type === "seat") expectTypeOf(event.data).toEqualTypeOf<{ row: string; number: number }>();
      }
      stream.on("token", ({ data }) => expectTypeOf(data).toEqualTypeOf<{ content: string }>());
      // @ts-expect-error: no such type
      stream.on("tokn", () => undefined);

      const untyped = openEventStream("/");
      untyped.on("anything", ({ data }) => expectTypeOf(data).toEqualTypeOf<string>());
      await createHub().publish("t", { type: "anything", data: { at: "all" } });

      const { data } = useEventStream("/", {
        events,
        initial: { text: "" },
        reduce: (state, event) =>
          event.type === "token" ? { text: state.text + event.data.content } : state,
      });
      expectTypeOf(data).toEqualTypeOf<{ text: string }>();
    };
    // The compiler is the test; a typed hub also has to go wherever a hub is wanted.
    const hub: Hub = typedHub();
    expect([checked, hub]).toHaveLength(2);
    expectTypeOf<ReturnType<typeof typedHub>>().toExtend<Hub>();
  });
});
