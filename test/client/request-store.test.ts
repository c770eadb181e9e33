import {
  createRequestStore,
  createStreamRegistry,
  type StreamEvent,
  type StreamRequest,
} from "everstream/client";
import { expect, onTestFinished, test } from "vitest";
import { type Exchange, startServer } from "./server.ts";

const append = (all: string, { data }: StreamEvent): string => all + data;

/** A registry whose streams end with the test. */
function ownStreams() {
  const registry = createStreamRegistry();
  onTestFinished(() => registry.close());
  return registry;
}

/** A store that is used, and its next snapshot that is as wanted. */
function used(request: StreamRequest, registry = ownStreams()) {
  const store = createRequestStore(request, { initial: "", reduce: append, registry });
  const leave = store.subscribe(() => undefined);
  onTestFinished(leave);
  const shows = (data: string) => expect.poll(() => store.getSnapshot().data, { timeout: 10_000 }).toBe(data);
  const isIdle = () => expect.poll(() => store.getSnapshot().status.state, { timeout: 10_000 }).toBe("idle");
  return { store, leave, shows, isIdle };
}

test("equal requests share one connection, and each store has its own value", async () => {
  const server = await startServer();
  const registry = ownStreams();
  const headers = { "x-a": "1", "x-b": "2" };
  const first = used({ url: server.url, headers }, registry);
  const exchange = await server.exchange(0);
  exchange.open("data: a\n\n");
  await first.shows("a");
  const second = used(
    { headers: { "x-b": "2", "x-a": "1" }, url: new URL(server.url), body: undefined },
    registry,
  );
  exchange.response.write("data: b\n\n");
  await Promise.all([first.shows("ab"), second.shows("b")]);
  expect(server.exchanges).toHaveLength(1);
  first.leave();
  second.leave();
  await exchange.gone;
});

test("other URLs, methods, headers, bodies and registries are other streams", async () => {
  const server = await startServer();
  const registry = ownStreams();
  const requests: StreamRequest[] = [
    server.url,
    `${server.url}?1`,
    { url: server.url, method: "POST" },
    { url: server.url, method: "POST", body: "1" },
    { url: server.url, headers: { "x-a": "1" } },
  ];
  for (const request of requests) used(request, registry);
  used(server.url);
  // Functions tell nothing apart, asynchronous ones neither.
  used({ url: server.url, fetch: async (...args: Parameters<typeof fetch>) => fetch(...args) }, registry);
  used({ url: server.url, shouldRetry: () => false }, registry);
  await server.exchange(5);
  expect(server.exchanges).toHaveLength(6);
});

test("what can't be compared is refused, in place of joining other users' streams", () => {
  for (const [name, value] of [
    ["headers", new Headers({ authorization: "Bearer ada" })],
    ["body", new Uint8Array([1])],
    ["body", new URLSearchParams("q=1")],
    ["body", new Blob(["1"])],
  ] as const) {
    const request = { url: "/feed", [name]: value } as unknown as StreamRequest;
    const store = createRequestStore(request, { initial: "", reduce: append, registry: ownStreams() });
    expect(() => store.subscribe(() => undefined)).toThrow(
      expect.objectContaining({ code: "INVALID_OPTION", message: `${name} must be plain data.` }),
    );
  }
});

test("asks its newest user for headers, and when that has left the one before", async () => {
  const server = await startServer(({ open }) => open("retry: 1\nid: 1\ndata: a\n\n"));
  const registry = ownStreams();
  const withToken = (token: string) => ({
    url: server.url,
    linger: 60_000,
    headers: () => ({ "x-token": token }),
  });
  const first = used(withToken("first"), registry);
  await first.shows("a");
  const second = used(withToken("second"), registry);
  (await server.exchange(0)).cut();
  await second.shows("a");
  second.leave();
  await second.isIdle();
  (await server.exchange(1)).cut();
  await first.shows("aaa");
  const tokens = server.exchanges.map(({ request }) => request.headers["x-token"]);
  expect(tokens).toEqual(["first", "second", "first"]);
});

test("its stream is kept for `linger` after its last subscriber, and the store itself takes no more of it", async () => {
  const server = await startServer();
  const registry = ownStreams();
  const request = { url: server.url, linger: 60_000 };
  let reduced = 0;
  const reduce = (all: string, event: StreamEvent) => {
    reduced++;
    return append(all, event);
  };
  const stores = Array.from({ length: 20 }, () =>
    createRequestStore(request, { initial: "", reduce, registry }),
  );
  for (const store of stores) store.subscribe(() => undefined)();
  // Whoever comes late must find the event told, which the others may have left before.
  const first = used(request, registry);
  const exchange = await server.exchange(0);
  exchange.open("data: a\n\n");
  await first.shows("a");
  first.leave();
  await first.isIdle();
  const states = () => new Set(stores.map((store) => store.getSnapshot().status.state));
  await expect.poll(states, { timeout: 10_000 }).toEqual(new Set(["idle"]));
  const before = reduced;
  const late = used(request, registry);
  exchange.response.write("data: b\n\n");
  await late.shows("b");
  expect(reduced).toBe(before);
  expect(server.exchanges).toHaveLength(1);
});

test("calls nobody who has left, and tells who comes back of each event once", async () => {
  // Who comes back late has a connection of its own, until it has caught up.
  const server = await startServer(({ request, open }, index) => {
    if (index > 0) open(request.headers["last-event-id"] === "1" ? "id: 2\ndata: b\n\n" : "");
  });
  const registry = ownStreams();
  const heard: string[] = [];
  const store = createRequestStore(server.url, {
    initial: "",
    reduce: append,
    onEvent: ({ data }) => heard.push(data),
    registry,
  });
  const { shows } = used(server.url, registry);
  const leave = store.subscribe(() => undefined);
  const exchange = await server.exchange(0);
  exchange.open("id: 1\ndata: a\n\n");
  await shows("a");
  leave();
  exchange.response.write("id: 2\ndata: b\n\n");
  await shows("ab");
  expect(heard).toEqual(["a"]);
  onTestFinished(store.subscribe(() => undefined));
  await expect.poll(() => heard, { timeout: 10_000 }).toContain("b");
  for (const { response } of server.exchanges) response.write("id: 3\ndata: c\n\n");
  await shows("abc");
  await expect.poll(() => heard, { timeout: 10_000 }).toEqual(["a", "b", "c"]);
});

test("a relative URL is relative to `baseUrl`", async () => {
  const server = await startServer();
  used({ url: "feed?a", baseUrl: new URL("/api/", server.url) });
  expect((await server.exchange(0)).request.url).toBe("/api/feed?a");
});

test("a `baseUrl` that is none is told at once, and not tried for ever", () => {
  const request = { url: "feed", baseUrl: "/api" };
  const store = createRequestStore(request, { initial: "", reduce: append, registry: ownStreams() });
  expect(() => store.subscribe(() => undefined)).toThrow(TypeError);
});

test("a registry closes all its streams, and can be used on", async () => {
  const server = await startServer();
  const registry = ownStreams();
  const { store } = used(server.url, registry);
  const exchange = await server.exchange(0);
  registry.close();
  await exchange.gone;
  await expect.poll(() => store.getSnapshot().status.state).toBe("closed");
  used(server.url, registry);
  await server.exchange(1);
});

test("stores that come and go at any time get each event once, and end up with one connection", async () => {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  const random = randomFrom(seed);
  const events: string[] = [];
  const live = new Set<Exchange>();
  const write = ({ response }: Exchange, n: number): void =>
    void response.write(`id: ${n}\ndata: ${events[n - 1]}\n\n`);
  const server = await startServer((exchange) => {
    const after = Number(exchange.request.headers["last-event-id"] ?? events.length);
    // With a checkpoint, so that one which is cut before its first event knows where to go on.
    exchange.open(`retry: 1\nid: ${after}\n\n`);
    for (let n = after + 1; n <= events.length; n++) write(exchange, n);
    live.add(exchange);
    void exchange.gone.then(() => live.delete(exchange));
  });
  const publish = (): void => {
    events.push(`${events.length + 1},`);
    for (const exchange of live) write(exchange, events.length);
  };
  const registry = ownStreams();
  const create = () => {
    const store = createRequestStore(
      { url: server.url, linger: 1 },
      { initial: "", reduce: append, registry },
    );
    const state = { store, leave: store.subscribe(() => undefined), isHere: true };
    onTestFinished(() => state.leave());
    return state;
  };
  const stores = Array.from({ length: 6 }, create);
  // All begin before the first event.
  await expect
    .poll(() => stores.every(({ store }) => store.getSnapshot().status.state === "open"))
    .toBe(true);
  for (let step = 0; step < 300; step++) {
    const state = stores[Math.floor(random() * stores.length)] as (typeof stores)[number];
    const chance = random();
    if (chance < 0.4) publish();
    else if (chance < 0.45) [...live][Math.floor(random() * live.size)]?.cut();
    else if (chance < 0.7) await new Promise((resolve) => setTimeout(resolve, random() * 5));
    else if (state.isHere) {
      state.leave();
      state.isHere = false;
    } else {
      state.leave = state.store.subscribe(() => undefined);
      state.isHere = true;
    }
  }
  for (const state of stores) {
    if (!state.isHere) state.leave = state.store.subscribe(() => undefined);
  }
  const lags = () =>
    stores.map(({ store }) => store.getSnapshot().data).filter((data) => data !== events.join(""));
  await expect.poll(lags, { message: `seed ${seed}`, timeout: 10_000 }).toEqual([]);
  // Streams that are equally far, but have got there without each other's company, find out with the next event.
  publish();
  await expect.poll(lags, { message: `seed ${seed}`, timeout: 10_000 }).toEqual([]);
  await expect.poll(() => live.size, { message: `seed ${seed}`, timeout: 10_000 }).toBe(1);
  publish();
  await expect.poll(lags, { message: `seed ${seed}`, timeout: 10_000 }).toEqual([]);
}, 60_000);

/** Numbers from 0 to 1, the same for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
