// What a hub counts, and what it tells on the process' diagnostics channels.
import { channel, subscribe, unsubscribe } from "node:diagnostics_channel";
import { createHub, type DiagnosticsMessages, type Hub, type RespondOptions } from "everstream";
import type { TestServer } from "everstream/testing";
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from "vitest";
import { channels } from "../../src/hub/diagnostics.ts";
import { Meter } from "../../src/hub/meter.ts";
import { until } from "../session/eventually.ts";
import { connect, numbered, numbers } from "./client.ts";
import { dataOf, gapsOf, openSource, serveHub } from "./rights-server.ts";

type Name = keyof DiagnosticsMessages;

let hub: Hub;
let server: TestServer;
/** What the next request may have. */
let options: RespondOptions;

beforeEach(async () => {
  hub = createHub();
  options = { topics: "t" };
  server = await serveHub(hub, () => options);
});
afterEach(async () => {
  await hub.close();
  await server.close();
});

/** Takes another hub in place of the usual one. */
async function use(other: Hub): Promise<void> {
  await server.close();
  hub = other;
  server = await serveHub(hub, () => options);
}

/** What a channel says until the test is over. */
function heardOn<N extends Name>(name: N): DiagnosticsMessages[N][] {
  const messages: DiagnosticsMessages[N][] = [];
  const listener = (message: unknown): void => {
    messages.push(message as DiagnosticsMessages[N]);
  };
  subscribe(name, listener);
  onTestFinished(() => void unsubscribe(name, listener));
  return messages;
}

const sessions = (count: number): Promise<boolean> => until(() => hub.stats().sessions === count);

describe("sessions", () => {
  it("are told of when they open and when they close, with what the hub knows of them", async () => {
    const opens = heardOn("everstream:session:open");
    const closes = heardOn("everstream:session:close");
    options = { topics: ["b", "a"], key: "ann" };
    const before = Date.now();
    const ann = await openSource(server);
    options = { topics: "a" };
    const other = await openSource(server);
    await sessions(2);
    const info = { hub, topics: ["a", "b"], key: "ann", openedAt: expect.any(Number) };
    expect(opens).toEqual([info, { ...info, topics: ["a"], key: undefined }]);
    expect(opens[0]?.openedAt).toBeGreaterThanOrEqual(before);
    expect(closes).toEqual([]);
    ann.destroy();
    await sessions(1);
    hub.disconnect({ topic: "a" });
    await other.ended;
    expect(closes).toEqual([
      { ...opens[0], reason: "disconnected", durationMs: expect.any(Number) },
      { ...opens[1], reason: "kicked", durationMs: expect.any(Number) },
    ]);
    for (const { durationMs } of closes) expect(durationMs).toBeLessThanOrEqual(Date.now() - before);
    expect(hub.stats().closed).toEqual({ disconnected: 1, kicked: 1 });
  });

  it("are out of the count when their close is told, and may be ended by who hears of their opening", async () => {
    const counts: number[] = [];
    const onClose = () => counts.push(hub.stats().sessions);
    const onOpen = () => hub.disconnect(() => true);
    subscribe("everstream:session:close", onClose);
    subscribe("everstream:session:open", onOpen);
    onTestFinished(() => void unsubscribe("everstream:session:close", onClose));
    onTestFinished(() => void unsubscribe("everstream:session:open", onOpen));
    const source = await openSource(server);
    expect(await source.ended).toBe("complete");
    expect(counts).toEqual([0]);
  });
});

describe("refusals", () => {
  /** Asks once for each of `settings`, and gives what was heard: status, reason and code. */
  async function refusalsOf(settings: readonly RespondOptions[]): Promise<unknown[]> {
    const heard = heardOn("everstream:session:refused");
    for (const setting of settings) {
      options = setting;
      const source = await openSource(server);
      expect(source.status).toBe(heard.at(-1)?.status);
      source.destroy();
    }
    expect(heard.every((message) => message.hub === hub)).toBe(true);
    return heard.map(({ status, reason, code }) => [status, reason, code]);
  }

  it("are told and counted by reason: topics, rights, a failing authorize", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    onTestFinished(() => void vi.restoreAllMocks());
    const topics = "t";
    const heard = await refusalsOf([
      { topics: "" },
      { topics: numbers(101) },
      { topics, authorize: () => false },
      { topics, authorize: () => ({ status: 401, code: "NO_TOKEN" }) },
      { topics, authorize: () => Promise.reject(new Error("no database")) },
      { topics, expiresAt: Date.now() - 1 },
    ]);
    expect(heard).toEqual([
      [400, "bad-topics", "INVALID_TOPIC"],
      [400, "bad-topics", "TOO_MANY_TOPICS"],
      [403, "forbidden", "FORBIDDEN"],
      [401, "forbidden", "NO_TOKEN"],
      [500, "failed", "CALLBACK_FAILED"],
      [403, "expired", "RIGHTS_EXPIRED"],
    ]);
    expect(hub.stats().refused).toEqual({ "bad-topics": 2, forbidden: 2, failed: 1, expired: 1 });
  });

  it("are told and counted by reason: one too many for its key, one too many at all", async () => {
    await use(createHub({ limits: { maxSessions: 2, maxSessionsPerKey: 1 } }));
    options = { topics: "t", key: "ann" };
    await openSource(server);
    const heard = heardOn("everstream:session:refused");
    expect((await openSource(server)).status).toBe(429);
    options = { topics: "t" };
    await openSource(server);
    await sessions(2);
    expect((await openSource(server)).status).toBe(200);
    expect((await fetch(server.url)).status).toBe(503);
    const code = "TOO_MANY_SESSIONS";
    expect(heard).toEqual([
      { hub, reason: "full-for-key", status: 429, code, key: "ann" },
      { hub, reason: "full", status: 200, code, key: undefined },
      { hub, reason: "full", status: 503, code, key: undefined },
    ]);
    expect(hub.stats().refused).toEqual({ full: 2, "full-for-key": 1 });
  });

  it("tell a hub that closes from a log that can't be read", async () => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    onTestFinished(() => void vi.restoreAllMocks());
    await use(createHub({ log: { open: () => Promise.reject(new Error("no log")) } }));
    const heard = await refusalsOf([options]);
    await hub.close();
    expect([...heard, ...(await refusalsOf([options]))]).toEqual([
      [200, "failed", "HUB_CLOSED"],
      [200, "closing", "HUB_CLOSED"],
    ]);
    expect(hub.stats().refused).toEqual({ failed: 1, closing: 1 });
  });
});

describe("publishing", () => {
  it("is told once for each append that the log accepted, with its time and size", async () => {
    const heard = heardOn("everstream:publish");
    await hub.publish("t", { data: "x".repeat(1000) });
    await hub.publish("u", numbered(3));
    const message = { hub, bytes: expect.any(Number), durationMs: expect.any(Number) };
    expect(heard).toEqual([
      { ...message, topic: "t", count: 1 },
      { ...message, topic: "u", count: 3 },
    ]);
    expect(heard[0]?.bytes).toBeGreaterThanOrEqual(1000);
    for (const { durationMs } of heard) expect(durationMs).toBeGreaterThan(0);
    expect(hub.stats().published).toBe(4);
  });

  it("is not told where nothing was published: refused, repeated, or only finished", async () => {
    await hub.publish("t", { data: 1 }, { publishId: "a" });
    const heard = heardOn("everstream:publish");
    await hub.publish("t", { data: 1 }, { publishId: "a" });
    await expect(hub.publish("t", { data: 2 }, { expectLast: null })).rejects.toThrow();
    await hub.finish("t");
    await hub.delete("t");
    expect(heard).toEqual([]);
    expect(hub.stats().published).toBe(1);
  });
});

describe("gaps", () => {
  it("are told for each reader that is told of one, whether it comes back or is there", async () => {
    await use(createHub({ retention: { maxEvents: 2 } }));
    const heard = heardOn("everstream:gap");
    const first = await openSource(server);
    const [id] = await hub.publish("t", numbered(5));
    await first.until("data: 4");
    expect(heard).toEqual([]);
    const late = await openSource(server, "/", id);
    await late.until("data: 4");
    expect(heard).toEqual(gapsOf(late).map((gap) => ({ hub, ...(gap as object) })));
    expect(heard).toMatchObject([{ topic: "t", reason: "trimmed", after: id }]);
    heard.length = 0;
    const unsubscribeListener = hub.subscribe("t", () => undefined);
    await hub.delete("t");
    await Promise.all([first.until("deleted"), late.until("deleted")]);
    expect(heard).toEqual(Array(3).fill({ hub, ...(gapsOf(first)[0] as object) }));
    unsubscribeListener();
    heard.length = 0;
    const lost = await openSource(server, "/", "zzz-1");
    await lost.until("sse:gap");
    expect(heard).toEqual([{ hub, topic: undefined, ...(gapsOf(lost)[0] as object) }]);
    expect(hub.stats().gaps).toEqual({ trimmed: 1, deleted: 3, epoch: 1, invalid: 0, overflow: 0 });
  });

  it("are told once to a reader that was too slow to be told live", async () => {
    const heard = heardOn("everstream:gap");
    const client = await connect(hub, { topics: "t" });
    client.sink.stalled = true;
    await hub.publish("t", { data: 0 });
    await hub.delete("t");
    for (let index = 1; index < 300; index++) await hub.publish("t", { data: "x".repeat(1000) });
    client.sink.stalled = false;
    client.sink.drain();
    await client.until(({ data }) => data.length === 300);
    expect(client.gaps.map(({ reason }) => reason)).toEqual(["deleted"]);
    expect(heard.map(({ reason }) => reason)).toEqual(["deleted"]);
    expect(hub.stats().gaps.deleted).toBe(1);
  });
});

describe("drops", () => {
  it.each(["dropOldest", "latestByKey"] as const)(
    "are counted, and told with their policy: %s",
    async (policy) => {
      vi.useFakeTimers({ toFake: ["performance"] });
      onTestFinished(() => void vi.useRealTimers());
      await use(createHub({ slowConsumer: policy, limits: { maxWaitingBytes: 2000 } }));
      const heard = heardOn("everstream:drop");
      const client = await connect(hub, { topics: "t" });
      await hub.publish("t", { data: "first" });
      await client.until(({ data }) => data.length === 1);
      client.sink.stalled = true;
      await hub.publish("t", numbered(2));
      await until(() => client.sink.full);
      await hub.publish("t", { data: "waiting" });
      // Longer than anybody may be behind.
      vi.advanceTimersByTime(1000);
      for (let index = 0; index < 100; index++) await hub.publish("t", { data: index, key: "k" });
      expect(heard).toEqual([]);
      client.sink.stalled = false;
      client.sink.drain();
      await client.until(({ data }) => data.at(-1) === "99");
      expect(client.data.length).toBeLessThan(50);
      expect(heard).toEqual([{ hub, topic: "t", policy }]);
      expect(hub.stats().dropped).toBe(1);
    },
  );
});

describe("a drain", () => {
  it("is told when it starts and when all have left, with how many were sent away", async () => {
    const starts = heardOn("everstream:drain:start");
    const ends = heardOn("everstream:drain:end");
    const open = [await openSource(server), await openSource(server), await openSource(server)];
    await sessions(3);
    const closing = hub.close({ within: 20 });
    expect([starts, ends]).toEqual([[{ hub, sessions: 3, withinMs: 20 }], []]);
    await closing;
    await Promise.all(open.map((source) => source.ended));
    expect(ends).toEqual([{ hub, sessions: 3, withinMs: 20, durationMs: expect.any(Number) }]);
    await hub.close();
    expect([starts.length, ends.length]).toEqual([1, 1]);
  });
});

describe("what was delivered", () => {
  it("is what a client could see: neither what it has no right to, nor marks", async () => {
    const ids = await hub.publish("t", numbered(4));
    options = { topics: { topic: "t", notBefore: ids[2] }, from: "start" };
    const source = await openSource(server);
    await source.until("data: 3");
    expect(hub.stats().delivered).toBe(1);
    await hub.publish("t", numbered(2, 4));
    await hub.delete("t");
    await hub.publish("t", numbered(1, 6));
    await source.until("data: 6");
    expect(dataOf(source)).toEqual(numbers(4, 3));
    expect(hub.stats().delivered).toBe(4);
  });

  it("also where what it has no right to is in memory still, for others", async () => {
    const slow = await connect(hub, { topics: ["t", "u"] });
    slow.sink.stalled = true;
    await hub.publish("t", { data: 0 });
    const lastEventId = await hub.publish("t", { data: 1 });
    const hidden = await hub.publish("u", numbered(3, 2));
    const { delivered } = hub.stats();
    const client = await connect(hub, { topics: ["t", { topic: "u", notBefore: hidden[2] }], lastEventId });
    await hub.publish("u", { data: 5 });
    await client.until(({ data }) => data.length > 0);
    expect(client.data).toEqual(["5"]);
    expect(hub.stats().delivered).toBe(delivered + 1);
  });

  it("counts for listeners and loops what they were called with", async () => {
    await hub.publish("t", numbered(10));
    let calls = 0;
    const unsubscribeListener = hub.subscribe("t", () => ++calls === 4 && unsubscribeListener(), {
      from: "start",
    });
    await until(() => hub.stats().subscriptions === 0);
    expect([calls, hub.stats().delivered]).toEqual([4, 4]);
  });
});

describe("a channel that nobody listens to", () => {
  it("gets no message, and none is made", async () => {
    const publishes = Object.entries(channels()).map(([name, silent]) => {
      expect(silent).toBe(channel(name));
      return vi.spyOn(silent, "publish");
    });
    expect(publishes).toHaveLength(8);
    const meter = new Meter(hub);
    const session = {
      get info(): never {
        throw new Error("nobody wants to know");
      },
    };
    meter.opened(session);
    meter.closed(session, "finished");
    expect(meter.appendStart).toBeUndefined();
    options = { topics: "t", authorize: ({ method }) => method === "GET" };
    const source = await openSource(server);
    await hub.publish("t", numbered(3));
    await hub.delete("t");
    await source.until("sse:gap");
    await fetch(server.url, { method: "POST" });
    await hub.close({ within: 1 });
    for (const publish of publishes) expect(publish).not.toHaveBeenCalled();
    expect(hub.stats()).toMatchObject({
      published: 3,
      delivered: 3,
      closed: { drained: 1 },
      refused: { forbidden: 1 },
    });
    vi.restoreAllMocks();
  });
});

describe("a runtime without channels", () => {
  it.each([
    ["has no process", undefined],
    ["can't say what is built in", {}],
    ["has none built in", { getBuiltinModule: () => undefined }],
  ])("that %s is silent", async (_, runtime) => {
    heardOn("everstream:publish");
    vi.resetModules();
    const fresh = await import("../../src/hub/diagnostics.ts");
    vi.stubGlobal("process", runtime);
    try {
      for (const silent of Object.values(fresh.channels())) expect(silent.hasSubscribers).toBe(false);
    } finally {
      vi.unstubAllGlobals();
    }
  });
});

describe("a subscriber that throws", () => {
  it("hurts neither publishers nor clients: what it throws is the process' to hear of", async () => {
    const usual = process.listeners("uncaughtException");
    const uncaught: unknown[] = [];
    process.removeAllListeners("uncaughtException");
    process.on("uncaughtException", (error) => uncaught.push(error));
    onTestFinished(() => {
      process.removeAllListeners("uncaughtException");
      for (const listener of usual) process.on("uncaughtException", listener);
    });
    const names = Object.keys(channels()) as Name[];
    const failing = (_: unknown, name: string | symbol): void => {
      throw new Error(String(name));
    };
    for (const name of names) subscribe(name, failing);
    onTestFinished(() => {
      for (const name of names) unsubscribe(name, failing);
    });
    const heard = heardOn("everstream:session:close");
    const source = await openSource(server);
    await hub.publish("t", numbered(3));
    await source.until("data: 2");
    await hub.delete("t");
    await source.until("sse:gap");
    options = { topics: "" };
    expect((await openSource(server)).status).toBe(400);
    await hub.close();
    expect(await source.ended).toBe("complete");
    expect(heard).toMatchObject([{ reason: "drained" }]);
    await until(() => uncaught.length >= names.length - 1);
    const told = names.filter((name) => name !== "everstream:drop").sort();
    expect(uncaught.map((error) => (error as Error).message).sort()).toEqual(told);
  });
});
