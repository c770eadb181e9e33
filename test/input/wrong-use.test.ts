// What callers without types give: each public function of the server's side answers with an error that says what to give,
// before anything was begun; never with a TypeError out of its middle, and never with silence.
import { EventEmitter } from "node:events";
import {
  asText,
  closeStreams,
  createHub,
  createProgress,
  createRuns,
  defineEvents,
  type EventStreamWriter,
  isEverstreamError,
  memoryLog,
  type Run,
  streamEvents,
} from "everstream";
import * as hono from "everstream/hono";
import { chunksOf, pipeAnswer, runUIMessages, textOf } from "everstream/llm";
import { lmdbLog } from "everstream/lmdb";
import { natsLog } from "everstream/nats";
import * as node from "everstream/node";
import { redisLog } from "everstream/redis";
import {
  collectEvents,
  connectRaw,
  eventsOf,
  faultServer,
  rawRequest,
  serveForTest,
} from "everstream/testing";
import { Hono } from "hono";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { pulseSize } from "../../src/session/pulse.ts";
import { eventually } from "../session/eventually.ts";

/** As code without types sees them. */
type Loose = (...args: unknown[]) => unknown;
const loose = (call: unknown): Loose => call as Loose;
/** The same for all methods of an object. */
const loosely = <T>(object: T): { [Name in keyof T]: Loose } => object as { [Name in keyof T]: Loose };

const hub = createHub();
const runs = createRuns({ hub });
let timers = 0;
beforeAll(async () => {
  await runs.start({ id: "r", produce: () => undefined });
  await runs.ended("r");
  timers = pulseSize();
});
afterEach(async () => {
  // Nothing was begun, nor answered.
  await eventually(() => expect(pulseSize()).toBe(timers));
  expect(hub.stats().sessions).toBe(0);
  expect(writeHead).not.toHaveBeenCalled();
  vi.restoreAllMocks();
});
afterAll(async () => {
  await runs.close();
  await hub.close();
});

const nothing = (): void => undefined;
const authorize = (): boolean => true;
const request = (): Request => new Request("http://localhost/r");
const response = (): Response => new Response("data: a\n\n");
const head = { method: "GET", url: "/", header: nothing };
const writeHead = vi.fn();
/** Looks enough like those of node:http; nothing is to come of them. */
const req = Object.assign(new EventEmitter(), { method: "GET", url: "/", headers: {}, rawHeaders: [] });
const res = Object.assign(new EventEmitter(), { writeHead });
const target = { send: async () => undefined, signal: new AbortController().signal };
const wrong = [undefined, null, 5, {}, "text"];

async function* answer(): AsyncGenerator<string> {
  yield "a";
}

/** Calls it with Hono's context before the other arguments. */
function inHono(call: Loose): Loose {
  return async (...args) => {
    let failure: unknown;
    const app = new Hono().all("*", async (c) => {
      const answered = await Promise.resolve()
        .then(() => call(c, ...args))
        .catch((error: unknown) => {
          failure = error;
        });
      return answered instanceof Response ? answered : c.text("");
    });
    await (await app.request("/")).body?.cancel();
    if (failure !== undefined) throw failure;
  };
}

/** Calls a method of a handler's stream. */
function inStream(call: (stream: EventStreamWriter, ...args: unknown[]) => unknown): Loose {
  return async (...args) => {
    let failure: unknown;
    const answered = streamEvents(request(), async (stream) => {
      try {
        await call(stream, ...args);
      } catch (error) {
        failure = error;
      }
    });
    await answered.text();
    if (failure !== undefined) throw failure;
  };
}

/** Calls a method of a run. */
function inRun(call: (run: Run, ...args: unknown[]) => unknown): Loose {
  return async (...args) => {
    let failure: unknown;
    const { id } = await runs.start({
      produce: async (run) => {
        try {
          await call(run, ...args);
        } catch (error) {
          failure = error;
        }
      },
    });
    await runs.ended(id);
    if (failure !== undefined) throw failure;
  };
}

async function failureOf(call: () => unknown): Promise<unknown> {
  try {
    const result = await call();
    if (result !== null && typeof result === "object" && "next" in result)
      await (result as AsyncIterator<unknown>).next();
    return undefined;
  } catch (error) {
    return error;
  }
}

const INVALID = "INVALID_OPTION";

/** What it is, how it is called with one value in question, and which of the wrong values are right there. */
const VALUES: [string, (value: unknown) => unknown, allowed?: unknown[], code?: string][] = [
  ["createHub's options", loose(createHub), [undefined, wrong[3]]],
  ["createHub's `events`", (events) => loose(createHub)({ events }), [undefined]],
  ["memoryLog's options", loose(memoryLog), [undefined, wrong[3]]],
  ["lmdbLog's options", loose(lmdbLog)],
  ["redisLog's options", loose(redisLog)],
  ["natsLog's options", loose(natsLog), [undefined, wrong[3]]],
  ["createRuns' options", loose(createRuns)],
  ["defineEvents' schemas", loose(defineEvents), [wrong[3]]],
  ["asText's schema", loose(asText)],
  ["closeStreams' options", loose(closeStreams), [undefined, wrong[3]]],
  ["streamEvents' request", (value) => loose(streamEvents)(value, nothing)],
  ["streamEvents' callback", (value) => loose(streamEvents)(request(), value)],
  ["streamEvents' options", (value) => loose(streamEvents)(request(), nothing, value), [undefined, wrong[3]]],
  ["streamEvents' onError", (onError) => loose(streamEvents)(request(), nothing, { onError }), [undefined]],
  [
    "streamEvents' headers",
    (headers) => loose(streamEvents)(request(), nothing, { headers }),
    [undefined, wrong[3]],
  ],
  ["createProgress' stream", (value) => loose(createProgress)(value, { steps: ["a"] })],
  ["createProgress' options", (value) => loose(createProgress)(target, value)],
  ["createProgress' steps", (steps) => loose(createProgress)(target, { steps })],
  ["a step of createProgress", (step) => loose(createProgress)(target, { steps: [step] }), ["text"]],
  ["what is reported of a progress", (value) => loosely(progress()).report(value), [5]],
  ["what a progress fails with", (value) => loosely(progress()).fail(value)],
  ["publish's options", (value) => loosely(hub).publish("t", { data: 1 }, value), [undefined, wrong[3]]],
  ["read's options", (value) => loosely(hub).read("t", value), [undefined, wrong[3]]],
  ["respond's request", (value) => loosely(hub).respond(value, { topics: "t" })],
  ["open's head", (value) => loosely(hub).open(value, { topics: "t" })],
  ["hub.close's options", (value) => loosely(createHub()).close(value), [undefined, wrong[3]]],
  ["a run's id", (value) => loosely(runs).get(value), ["text"]],
  ["a run's key", (value) => loosely(runs).holder(value), ["text"]],
  ["ended's options", (value) => loosely(runs).ended("r", value), [undefined, wrong[3]]],
  [
    "a run's options of a join",
    (value) => loosely(runs).respond(request(), "r", value),
    [undefined, wrong[3]],
  ],
  ["a join's request", (value) => loosely(runs).respond(value, "r")],
  ["a join's head", (value) => loosely(runs).open(value, "r")],
  ["what the routes answer", (value) => loose(runs.routes({ authorize }))(value)],
  ["the routes' `join`", (join) => loosely(runs).routes({ authorize, join }), [undefined, wrong[3]]],
  ["runs.close's options", closeRuns, [undefined, wrong[3]]],
  ["a step of a run", inRun((run, value) => loosely(run).step(value)), ["text"]],
  ["a run's meta", inRun((run, value) => loosely(run).meta(value)), [wrong[3]]],
  [
    "writeSSE's message",
    inStream((stream, value) => loosely(stream).writeSSE(value)),
    [wrong[3]],
    "INVALID_EVENT",
  ],
  ["write's input", inStream((stream, value) => loosely(stream).write(value)), ["text"], "INVALID_EVENT"],
  ["pipe's body", inStream((stream, value) => loosely(stream).pipe(value))],
  ["onAbort's listener", inStream((stream, value) => loosely(stream).onAbort(value))],
  ["pipeAnswer's answer", (value) => loose(pipeAnswer)(value, target)],
  ["pipeAnswer's target", (value) => loose(pipeAnswer)(answer(), value)],
  ["pipeAnswer's options", (value) => loose(pipeAnswer)(answer(), target, value), [undefined, wrong[3]]],
  ["chunksOf's signal", (value) => loose(chunksOf)(answer(), value), [undefined]],
  ["textOf's signal", (value) => loose(textOf)(answer(), value), [undefined]],
  ["runUIMessages' runs", (value) => loose(runUIMessages)(value, "r", request())],
  ["runUIMessages' run", (value) => loose(runUIMessages)(runs, value, request()), ["text"]],
  ["runUIMessages' request", (value) => loose(runUIMessages)(runs, "r", value)],
  [
    "runUIMessages' options",
    (value) => loose(runUIMessages)(runs, "r", request(), value),
    [undefined, wrong[3]],
  ],
  ["the context of Hono's streamSSE", (value) => loose(hono.streamSSE)(value, nothing)],
  ["the context of Hono's streamTopics", (value) => loose(hono.streamTopics)(value, hub, { topics: "t" })],
  ["the context of Hono's streamRun", (value) => loose(hono.streamRun)(value, runs, "r")],
  ["the callback of Hono's streamSSE", inHono(loose(hono.streamSSE))],
  [
    "the options of Hono's streamSSE",
    (value) => inHono(loose(hono.streamSSE))(nothing, nothing, value),
    [undefined, wrong[3]],
  ],
  ["the hub of Hono's streamTopics", (value) => inHono(loose(hono.streamTopics))(value, { topics: "t" })],
  ["the options of Hono's streamTopics", (value) => inHono(loose(hono.streamTopics))(hub, value), [wrong[3]]],
  ["the runs of Hono's streamRun", (value) => inHono(loose(hono.streamRun))(value, "r")],
  [
    "the options of Hono's streamRun",
    (value) => inHono(loose(hono.streamRun))(runs, "r", value),
    [undefined, wrong[3]],
  ],
  ["the runs of Hono's routes", (value) => loose(hono.runRoutes)(value, { authorize })],
  ["the request of Node's streamSSE", (value) => loose(node.streamSSE)(value, res, nothing)],
  ["the response of Node's streamSSE", (value) => loose(node.streamSSE)(req, value, nothing)],
  ["the callback of Node's streamSSE", (value) => loose(node.streamSSE)(req, res, value)],
  [
    "the request of Node's streamTopics",
    (value) => loose(node.streamTopics)(value, res, hub, { topics: "t" }),
  ],
  [
    "the response of Node's streamTopics",
    (value) => loose(node.streamTopics)(req, value, hub, { topics: "t" }),
  ],
  ["the hub of Node's streamTopics", (value) => loose(node.streamTopics)(req, res, value, { topics: "t" })],
  ["the runs of Node's streamRun", (value) => loose(node.streamRun)(req, res, value, "r")],
  ["the runs of Node's routes", (value) => loose(node.runRoutes)(value, { authorize })],
  ["collectEvents' source", loose(collectEvents)],
  ["collectEvents' options", (value) => loose(collectEvents)(response(), value), [undefined, wrong[3]]],
  ["eventsOf's source", loose(eventsOf)],
  ["connectRaw's server", loose(connectRaw), [5]],
  ["serveForTest's server", loose(serveForTest)],
  ["faultServer's answers", loose(faultServer)],
];

async function closeRuns(options: unknown): Promise<void> {
  const own = createRuns({ hub, namespace: "z" });
  try {
    await loosely(own).close(options);
  } finally {
    await own.close();
  }
}

/** What messages call the arguments that are left out most easily. */
const NAMED = /^the (callback|hub|runs) of|' (callback|hub|runs)$/;

function progress(): ReturnType<typeof createProgress> {
  return createProgress(target, { steps: ["a"] });
}

describe("what is missing, null, a number, an empty object or a text, and may not be, is refused", () => {
  it.each(VALUES)("%s", async (what, call, allowed = [], code = INVALID) => {
    const [, argument, option = argument] = NAMED.exec(what) ?? [];
    vi.spyOn(console, "error").mockImplementation(nothing);
    for (const value of wrong.filter((each) => !allowed.includes(each))) {
      const failure = await failureOf(() => call(value));
      expect(
        isEverstreamError(failure, code as typeof INVALID),
        `${JSON.stringify(value)}: ${String(failure)}`,
      ).toBe(true);
      if (option !== undefined)
        expect(failure).toMatchObject({ message: expect.stringContaining(`\`${option}\``) });
    }
  });
});

const produce = nothing;

/** How each is called with the option in question beside those that it needs. */
const OPTIONS: [string, (option: object) => unknown][] = [
  ["createHub", (option) => loose(createHub)(option)],
  ["createHub's limits", (limits) => loose(createHub)({ limits })],
  ["createHub's retention", (retention) => loose(createHub)({ retention })],
  [
    "createHub's slowConsumer",
    (option) => loose(createHub)({ slowConsumer: { policy: "resume", ...option } }),
  ],
  ["memoryLog", loose(memoryLog)],
  ["lmdbLog", (option) => loose(lmdbLog)({ path: "unused", ...option })],
  ["redisLog", (option) => loose(redisLog)({ url: "redis://127.0.0.1", ...option })],
  ["natsLog", loose(natsLog)],
  ["closeStreams", loose(closeStreams)],
  ["streamEvents", (option) => loose(streamEvents)(request(), nothing, option)],
  ["a heartbeat", (heartbeat) => loose(streamEvents)(request(), nothing, { heartbeat })],
  ["createProgress", (option) => loose(createProgress)(target, { steps: ["a"], ...option })],
  ["a step of it", (option) => loose(createProgress)(target, { steps: [{ name: "a", ...option }] })],
  ["publish", (option) => loosely(hub).publish("t", { data: 1 }, option)],
  ["publish's retention", (retention) => loosely(hub).publish("t", { data: 1 }, { retention })],
  ["read", (option) => loosely(hub).read("t", option)],
  ["subscribe", (option) => loosely(hub).subscribe("t", nothing, option)],
  ["events", (option) => loosely(hub).events("t", option)],
  ["respond", (option) => loosely(hub).respond(request(), { topics: "t", ...option })],
  ["respond's topic", (option) => loosely(hub).respond(request(), { topics: { topic: "t", ...option } })],
  ["open", (option) => loosely(hub).open(head, { topics: "t", ...option })],
  ["hub.close", (option) => loosely(createHub()).close(option)],
  ["createRuns", (option) => loose(createRuns)({ hub, ...option })],
  ["start", (option) => loosely(runs).start({ produce, ...option })],
  [
    "start's whenUnwatched",
    (option) => loosely(runs).start({ produce, whenUnwatched: { stopAfterMs: 1, ...option } }),
  ],
  ["start's step", (option) => loosely(runs).start({ produce, steps: [{ name: "a", ...option }] })],
  ["ended", (option) => loosely(runs).ended("r", option)],
  ["runs.respond", (option) => loosely(runs).respond(request(), "r", option)],
  ["runs.open", (option) => loosely(runs).open(head, "r", option)],
  ["runs.routes", (option) => loosely(runs).routes({ authorize, ...option })],
  ["runs.routes' join", (join) => loosely(runs).routes({ authorize, join })],
  ["pipeAnswer", (option) => loose(pipeAnswer)(answer(), target, option)],
  ["runUIMessages", (option) => loose(runUIMessages)(runs, "r", request(), option)],
  ["Hono's streamSSE", (option) => inHono(loose(hono.streamSSE))(nothing, nothing, option)],
  ["Hono's streamTopics", (option) => inHono(loose(hono.streamTopics))(hub, { topics: "t", ...option })],
  ["Hono's streamRun", (option) => inHono(loose(hono.streamRun))(runs, "r", option)],
  ["Node's streamSSE", (option) => loose(node.streamSSE)(req, res, nothing, option)],
  ["Node's streamTopics", (option) => loose(node.streamTopics)(req, res, hub, { topics: "t", ...option })],
  ["Node's streamRun", (option) => loose(node.streamRun)(req, res, runs, "r", option)],
  ["collectEvents", (option) => loose(collectEvents)(response(), option)],
  ["eventsOf", (option) => loose(eventsOf)(response(), option)],
  ["faultServer's answer", (option) => loose(faultServer)([option])],
];

describe("an option that there is not is refused, with the names of those that there are", () => {
  it.each(OPTIONS)("%s", async (_, call) => {
    const failure = await failureOf(() => call({ heartbeatInterval: 5 }));
    expect(failure).toMatchObject({ code: INVALID, message: expect.stringContaining("`heartbeatInterval`") });
    expect(failure).toMatchObject({ message: expect.stringMatching(/, only \w+/) });
  });

  it("a request over a raw connection", async () => {
    const server = await serveForTest((_, answered) => void answered.end());
    const failure = await failureOf(() => loose(rawRequest)(server, "/", { header: {} }));
    expect(failure).toMatchObject({ code: INVALID, message: expect.stringContaining("`header`") });
    await server.close();
  });

  it("but not what others have put on every object", () => {
    Object.defineProperty(Object.prototype, "foreign", {
      value: 1,
      enumerable: true,
      configurable: true,
      writable: true,
    });
    try {
      expect(() => createHub({})).not.toThrow();
    } finally {
      Reflect.deleteProperty(Object.prototype, "foreign");
    }
  });
});

describe("an event to publish that has a name that there is not", () => {
  it.each([
    [{ event: "tick", data: 1 }, /no `event`, only type, .*`type`/],
    [{ id: "7", data: 1 }, /no `id`, only type, .*`publishId`/],
    [{ topic: "t", data: 1 }, /no `topic`, only type, .*first argument/],
    [{ payload: 1 }, /no `payload`, only type, data, text, key, meta\./],
    [{ constructor: 1 }, /no `constructor`, only type, data, text, key, meta\./],
  ])("%j is refused, and nothing of its batch published", async (event, message) => {
    const before = hub.stats().published;
    for (const input of [event, [{ data: 1 }, event]]) {
      const failure = await failureOf(() => loosely(hub).publish("t", input));
      expect(failure).toMatchObject({ code: "INVALID_EVENT", message: expect.stringMatching(message) });
    }
    expect(hub.stats().published).toBe(before);
  });
});
