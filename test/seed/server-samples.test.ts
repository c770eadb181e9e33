// The seed's server samples, run as they stand with only the import path changed, over real connections.
import { getRequestListener } from "@hono/node-server";
import { closeStreams } from "everstream";
import {
  type RawRequestOptions,
  type RawResponse,
  rawRequest,
  serveForTest,
  type TestServer,
} from "everstream/testing";
import type { Hono } from "hono";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { pulseSize } from "../../src/session/pulse.ts";
import { eventually } from "../session/eventually.ts";
import { model } from "./model.ts";
import { app as abortSignal } from "./samples/abort-signal.ts";
import { app as basic } from "./samples/basic.ts";
import { app as chat } from "./samples/chat.ts";
import { eventBus } from "./samples/event-bus.ts";
import { app as eventTypes } from "./samples/event-types.ts";
import { app as progress } from "./samples/progress.ts";

vi.mock("@langchain/openai", () => import("./model.ts"));

const servers: TestServer[] = [];
const unhandled = vi.fn();

beforeEach(() => {
  unhandled.mockClear();
  process.on("unhandledRejection", unhandled);
});

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
  await eventually(() => expect(pulseSize()).toBe(0));
  await new Promise((resolve) => setImmediate(resolve));
  process.off("unhandledRejection", unhandled);
  expect(unhandled).not.toHaveBeenCalled();
});

async function open(
  app: { fetch: Hono["fetch"] },
  path: string,
  options?: RawRequestOptions,
): Promise<RawResponse> {
  const server = await serveForTest(getRequestListener((request, env) => app.fetch(request, env)));
  servers.push(server);
  return rawRequest(server, path, options);
}

/** The two ends that a stream which never ends by itself can come to. */
const ends: readonly [string, (raw: RawResponse) => Promise<void>][] = [
  ["the client leaves", async (raw) => raw.destroy()],
  [
    "the server drains",
    async (raw) => {
      await closeStreams();
      expect(await raw.ended).toBe("complete");
      expect(raw.body).toMatch(/retry: \d+\n\n$/);
    },
  ],
];

describe("basic", () => {
  test("counts up, a second apart, with rising ids", async () => {
    const raw = await open(basic, "/events");
    await raw.until(({ events }) => events.length === 2);
    expect(raw.events.map(({ event, lastEventId }) => [event, lastEventId])).toEqual([
      ["message", "0"],
      ["message", "1"],
    ]);
    const [first, second] = raw.events.map(({ data }) => (JSON.parse(data) as { time: number }).time);
    expect((second as number) - (first as number)).toBeGreaterThan(900);
  });

  test.each(ends)("the endless loop ends when %s", async (_name, end) => {
    const sleeps = vi.spyOn(globalThis, "clearTimeout");
    const raw = await open(basic, "/events");
    await raw.until("id: 0");
    sleeps.mockClear();
    await end(raw);
    await eventually(() => expect(pulseSize()).toBe(0));
    // The sleep in which the loop was has been broken off, and no other begun.
    expect(sleeps).toHaveBeenCalled();
    sleeps.mockRestore();
  });
});

describe("with an abort signal", () => {
  test.each(ends)("the request's signal is aborted when %s", async (_name, end) => {
    const aborts = vi.spyOn(AbortController.prototype, "abort");
    const raw = await open(abortSignal, "/events");
    await raw.until("event: ping\n");
    expect(JSON.parse(raw.events[0]?.data as string)).toEqual({ timestamp: expect.any(Number) });
    aborts.mockClear();
    await end(raw);
    // The sample's own controller is the one that is aborted without a reason.
    await eventually(() => expect(aborts.mock.calls.filter(({ length }) => length === 0)).toHaveLength(1));
    aborts.mockRestore();
  });
});

describe("several event types over an event bus", () => {
  const as = (user: string): RawRequestOptions => ({ headers: { "X-User": user } });

  test("each user gets their own, with its type", async () => {
    const [ann, bob] = [
      await open(eventTypes, "/notifications", as("ann")),
      await open(eventTypes, "/notifications", as("bob")),
    ];
    await eventually(() =>
      expect([eventBus.subscribers("ann"), eventBus.subscribers("bob")]).toEqual([1, 1]),
    );
    for (const type of ["message", "notification", "alert"])
      await eventBus.publish("ann", { type, payload: { to: "ann" } });
    await eventBus.publish("bob", { type: "message", payload: { to: "bob" } });
    await bob.until("bob");
    await ann.until("alert");
    expect(ann.events.map(({ event }) => event)).toEqual(["message", "notification", "alert"]);
    expect(bob.events.map(({ data }) => JSON.parse(data))).toEqual([{ to: "bob" }]);
  });

  test.each(ends)(
    "subscription and heartbeat are cleaned up when %s, though the callback waits for ever",
    async (_name, end) => {
      const intervals = vi.spyOn(globalThis, "setInterval");
      const cleared = vi.spyOn(globalThis, "clearInterval");
      const raw = await open(eventTypes, "/notifications", as("eve"));
      await eventually(() => expect(eventBus.subscribers("eve")).toBe(1));
      const at = intervals.mock.calls.findIndex(([, ms]) => ms === 30_000);
      const heartbeat = intervals.mock.calls[at]?.[0] as () => Promise<void>;
      const timer = intervals.mock.results[at]?.value as NodeJS.Timeout;
      await heartbeat();
      await raw.until("event: heartbeat\ndata: \n\n");
      await end(raw);
      await eventually(() => expect(eventBus.subscribers("eve")).toBe(0));
      expect(cleared).toHaveBeenCalledWith(timer);
      // One that fires after the end must be quiet.
      await heartbeat();
      vi.restoreAllMocks();
    },
  );
});

describe("progress of an upload", () => {
  const post = { method: "POST", headers: { "Content-Type": "application/json" }, body: '{"fileId":"f1"}' };

  test("four steps, then done, then the end", async () => {
    const raw = await open(progress, "/upload/process", post);
    await raw.until("event: done", 10_000);
    expect(await raw.ended).toBe("complete");
    expect(raw.events.map(({ event, data }) => [event, JSON.parse(data)])).toEqual([
      ["progress", { step: "Validating", progress: 25 }],
      ["progress", { step: "Processing", progress: 50 }],
      ["progress", { step: "Optimizing", progress: 75 }],
      ["progress", { step: "Complete", progress: 100 }],
      ["done", { fileId: "f1", status: "complete" }],
    ]);
  });

  test.each(ends)("work stops when %s", async (_name, end) => {
    const raw = await open(progress, "/upload/process", post);
    await raw.until("Validating");
    await end(raw);
    await eventually(() => expect(pulseSize()).toBe(0));
    expect(raw.body).not.toContain("Processing");
  });
});

describe("tokens of a model", () => {
  test("arrive one by one, then done", async () => {
    model.stream = async function* (message) {
      for (const content of ["You ", "", "said ", message]) yield { content };
    };
    const raw = await open(chat, "/chat/stream?message=hi%20there");
    expect(await raw.ended).toBe("complete");
    expect(raw.events.map(({ event, data }) => [event, data])).toEqual([
      ["token", '{"content":"You "}'],
      ["token", '{"content":"said "}'],
      ["token", '{"content":"hi there"}'],
      ["done", ""],
    ]);
  });

  test("an error of the model reaches the client once, as the sample words it", async () => {
    model.stream = async function* () {
      yield { content: "so far" };
      throw new Error("rate limited");
    };
    const raw = await open(chat, "/chat/stream?message=x");
    expect(await raw.ended).toBe("complete");
    expect(raw.events.map(({ event, data }) => [event, data])).toEqual([
      ["token", '{"content":"so far"}'],
      ["error", '{"message":"rate limited"}'],
    ]);
  });

  test("a client that leaves in the middle ends nothing but its own stream", async () => {
    const finished = vi.fn();
    let go: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    model.stream = async function* () {
      yield { content: "first" };
      await gate;
      for (let count = 0; count < 100; count++) yield { content: "late" };
      finished();
    };
    const raw = await open(chat, "/chat/stream?message=x");
    await raw.until("first");
    raw.destroy();
    await eventually(() => expect(pulseSize()).toBe(0));
    go();
    await eventually(() => expect(finished).toHaveBeenCalled());
  });

  test("a request without a message is refused", async () => {
    const raw = await open(chat, "/chat/stream");
    expect(raw.status).toBe(400);
    expect(await raw.until("}")).toBe('{"error":"message required"}');
  });
});
