import { createHub, memoryLog } from "everstream";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { pulseSize } from "../../src/session/pulse.ts";
import { until } from "../session/eventually.ts";
import { connect, numbered, openClient } from "./client.ts";
import { remoteLog } from "./remote-log.ts";

const code = (expected: string) => expect.objectContaining({ code: expected });
const stream = { headers: { accept: "text/event-stream" } };

describe("closing a hub", () => {
  it("ends sessions as drained, each with its position and a time of its own to come back", async () => {
    const log = memoryLog();
    const hub = createHub({ log });
    const clients = await Promise.all(Array.from({ length: 50 }, () => connect(hub, { topics: "t" })));
    await hub.publish("t", { data: 1 });
    await hub.publish("other", { data: 2 });
    const position = await hub.position();
    await hub.close();
    for (const client of clients) {
      await client.until(({ sink }) => sink.ended);
      expect(client.session.closeReason).toBe("drained");
      expect(client.lastEventId).toBe(position);
    }
    expect(new Set(clients.map(({ retry }) => retry)).size).toBeGreaterThan(25);
    // And another server goes on where this one stopped.
    const next = createHub({ log });
    await next.publish("t", { data: 3 });
    const again = await connect(next, { topics: "t", lastEventId: position });
    await again.until(({ data }) => data.length === 1);
    expect(again.data).toEqual(["3"]);
    await next.close();
  });

  it("a session that is behind keeps a cursor from which nothing is lost", async () => {
    const log = memoryLog();
    const hub = createHub({ log });
    const client = await connect(hub, { topics: "t" });
    await client.until(({ checkpoints }) => checkpoints.length === 1);
    client.sink.stalled = true;
    for (let index = 0; index < 100; index++) await hub.publish("t", { data: index });
    await hub.close();
    client.sink.stalled = false;
    client.sink.drain();
    const next = createHub({ log });
    const again = await connect(next, { topics: "t", lastEventId: client.lastEventId });
    await again.until(({ data }) => data.at(-1) === "99");
    const seen = [...client.data, ...again.data].map(Number);
    expect(seen).toEqual(numbered(100).map(({ data }) => data));
    await next.close();
  });

  it("spreads the ends over the time given, in an order of chance", async () => {
    const hub = createHub();
    const order: number[] = [];
    for (let index = 0; index < 20; index++) {
      const client = await connect(hub, { topics: "t" });
      client.session.onClose(() => order.push(index));
    }
    const started = performance.now();
    const closing = hub.close({ within: 200 });
    expect(order.length).toBeLessThan(20);
    await closing;
    expect(performance.now() - started).toBeGreaterThan(100);
    expect(order).toHaveLength(20);
    expect(order).not.toEqual([...order].sort((a, b) => a - b));
  });

  it("waits for nobody who has left by then", async () => {
    const hub = createHub();
    const clients = await Promise.all(Array.from({ length: 3 }, () => connect(hub, { topics: "t" })));
    const closing = hub.close({ within: 3_600_000 });
    await Promise.race(clients.map((client) => client.until(({ sink }) => sink.ended)));
    for (const client of clients) client.leave();
    await closing;
    expect(hub.stats()).toMatchObject({ sessions: 0, closed: { drained: 1, disconnected: 2 } });
  });

  it("meanwhile sends new EventSources away with 200 and a time, others with 503", async () => {
    const hub = createHub();
    await connect(hub, { topics: "t" });
    const closing = hub.close({ within: 50 });
    const url = "http://localhost/";
    const source = await hub.respond(new Request(url, stream), { topics: "t" });
    expect([source.status, source.headers.get("content-type")]).toEqual([200, "text/event-stream"]);
    expect(await source.text()).toMatch(/^retry: \d+$/m);
    for (const init of [{}, { method: "POST", ...stream }]) {
      const other = await hub.respond(new Request(url, init), { topics: "t" });
      expect([other.status, other.headers.get("retry-after")]).toEqual([503, "2"]);
      expect(await other.json()).toMatchObject({ code: "HUB_CLOSED" });
    }
    await closing;
  });

  it("publishes until the last session has gone, and refuses everything after", async () => {
    const hub = createHub();
    const client = await connect(hub, { topics: "t" });
    const closing = hub.close({ within: 20 });
    await hub.publish("t", { data: 1 });
    await closing;
    expect(hub.stats()).toMatchObject({ sessions: 0, subscriptions: 0 });
    expect(client.session.closed).toBe(true);
    for (const call of [hub.publish("t", { data: 1 }), hub.finish("t"), hub.delete("t"), hub.position()]) {
      await expect(call).rejects.toThrow(code("HUB_CLOSED"));
    }
    expect(() => hub.subscribe("t", () => undefined)).toThrow(code("HUB_CLOSED"));
    expect(() => hub.events("t")).toThrow(code("HUB_CLOSED"));
    await hub.close();
  });

  it("leaves no timer and no subscription behind, also of openings that were under way", async () => {
    const before = pulseSize();
    const hub = createHub({ log: remoteLog(memoryLog()) });
    await hub.subscribe("t", () => undefined).ready;
    const openings = Array.from({ length: 20 }, (_, index) => openClient(hub, { topics: [`t${index}`] }));
    await hub.close();
    for (const { status } of await Promise.allSettled(openings)) expect(status).toBe("rejected");
    expect(hub.stats()).toMatchObject({ sessions: 0, subscriptions: 0, topics: 0 });
    expect(pulseSize()).toBe(before);
  });

  it("leaves no timer behind where it comes while the log is being opened for the first time", async () => {
    const before = pulseSize();
    const near = memoryLog();
    let open: () => void = () => undefined;
    const opened = new Promise<void>((resolve) => {
      open = resolve;
    });
    const hub = createHub({ log: { open: (feed) => opened.then(() => near.open(feed)) } });
    const publishing = hub.publish("t", { data: 1 });
    const subscribing = hub.subscribe("t", () => undefined).ready;
    const closing = hub.close();
    open();
    await closing;
    await Promise.allSettled([publishing, subscribing]);
    expect(hub.stats()).toMatchObject({ subscriptions: 0, topics: 0 });
    expect(pulseSize()).toBe(before);
  });

  it("openings and subscriptions that ask the log after its close are sent away as by any close", async () => {
    const reported = vi.spyOn(console, "error");
    onTestFinished(() => reported.mockRestore());
    let pass: () => void = () => undefined;
    const passed = new Promise<void>((resolve) => {
      pass = resolve;
    });
    let held = 0;
    const onCall = (call: string, moment: string) => {
      if (call !== "states" || moment !== "before") return undefined;
      held++;
      return passed;
    };
    const hub = createHub({ log: remoteLog(memoryLog(), { onCall }) });
    const position = await hub.publish("t", { data: 1 });
    const headers = { "Last-Event-ID": position };
    const opening = hub.respond(new Request("http://localhost/", { headers }), { topics: "t" });
    const ready = hub.subscribe("u", () => undefined, { after: position }).ready;
    await until(() => held >= 2);
    await hub.close();
    pass();
    expect([(await opening).status, await (await opening).json()]).toEqual([
      503,
      expect.objectContaining({ code: "HUB_CLOSED" }),
    ]);
    await Promise.allSettled([ready]);
    expect(hub.stats()).toMatchObject({ refused: { closing: 1 }, sessions: 0, subscriptions: 0, topics: 0 });
    expect(reported).not.toHaveBeenCalled();
  });

  it("one that was never used closes, too", async () => {
    const hub = createHub();
    await hub.close();
    await expect(hub.publish("t", { data: 1 })).rejects.toThrow(code("HUB_CLOSED"));
  });
});

describe("a log that can't be opened", () => {
  it("sends clients away, is reported, and is tried again at the next call", async () => {
    const reported = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const near = memoryLog();
    let broken = true;
    const hub = createHub({
      log: { open: (feed) => (broken ? Promise.reject(new Error("no log")) : near.open(feed)) },
    });
    await expect(hub.publish("t", { data: 1 })).rejects.toThrow("no log");
    const response = await hub.respond(new Request("http://localhost/", stream), { topics: "t" });
    expect(await response.text()).toContain("retry:");
    expect(reported).toHaveBeenCalledOnce();
    reported.mockRestore();
    broken = false;
    await hub.publish("t", { data: 1 });
    await hub.close();
  });
});
