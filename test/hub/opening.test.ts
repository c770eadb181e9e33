import { createHub, type Hub } from "everstream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { pulseSize } from "../../src/session/pulse.ts";
import { connect, numbered, numbers, openClient } from "./client.ts";

let hub: Hub;
beforeEach(() => {
  hub = createHub();
});
afterEach(() => hub.close());

const request = (headers: Record<string, string> = {}, init: RequestInit = {}) =>
  new Request("http://localhost/events", { headers, ...init });

describe("what a stream opens with", () => {
  it("the heartbeat's interval, the reconnection time and the position", async () => {
    const client = await connect(hub, { topics: "t", heartbeat: 5000, retry: 1234 });
    await client.until(({ checkpoints }) => checkpoints.length === 1);
    expect(client.comments).toEqual(["everstream heartbeat=5000"]);
    expect(client.retry).toBe(1234);
    expect(client.checkpoints).toEqual([await hub.position()]);
    expect(client.events).toEqual([]);
  });

  it("a checkpoint is a named event with an id and empty data, which every browser keeps", async () => {
    const response = await hub.respond(request(), { topics: "t" });
    await hub.close();
    expect(await response.text()).toContain(`event: sse:live\ndata: \nid: `);
  });

  it("the headers of event streams, and the user's over them however they are spelt", async () => {
    const headers = { "cache-control": "no-store", "X-Mine": "1" };
    const response = await hub.respond(request(), { topics: "t", headers });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    expect(response.headers.get("cache-control")).toBe("no-store");
    expect(response.headers.get("x-accel-buffering")).toBe("no");
    expect(response.headers.get("x-mine")).toBe("1");
    await response.body?.cancel();
  });

  it("all of it, however little may wait, and leaves no session that nobody ends", async () => {
    const ids: string[] = [];
    const topics = Array.from({ length: 20 }, (_, index) => `t${index}`);
    const small = createHub({ retention: { maxEvents: 1 } });
    for (const topic of topics) ids.push(...(await small.publish(topic, numbered(2))));
    const client = await openClient(small, { topics, lastEventId: ids[0], maxPendingBytes: 0 });
    expect(client.session.closed).toBe(false);
    client.attach();
    await client.until(({ gaps }) => gaps.length === 19);
    client.leave();
    expect(small.stats()).toMatchObject({ sessions: 0, topics: 0 });
    await small.close();
  });

  it("HEAD gets the headers and opens nothing", async () => {
    const response = await hub.respond(request({}, { method: "HEAD" }), { topics: "t" });
    expect(response.headers.get("content-type")).toBe("text/event-stream");
    expect(response.body).toBeNull();
    expect(hub.stats().sessions).toBe(0);
  });

  it.each([
    ["none", []],
    ["an empty one", [""]],
    ["too many", Array.from({ length: 101 }, (_, index) => `t${index}`)],
    ["no text", [1 as unknown as string]],
  ])("topics that can't be had (%s) are a 400 that says why", async (_, topics) => {
    const response = await hub.respond(request(), { topics });
    expect(response.status).toBe(400);
    expect(await response.json()).toEqual({
      error: expect.any(String),
      code: expect.stringMatching(/TOPIC/),
    });
    expect(hub.stats()).toMatchObject({ sessions: 0, topics: 0 });
  });

  it.each([
    { from: "end" as "now" },
    { from: { last: -1 } },
    { retry: 0.5 },
    { retry: -1 },
    { heartbeat: -1 },
  ])("options that can't be used (%j) are an error", async (options) => {
    const opening = hub.respond(request(), { topics: "t", ...options });
    await expect(opening).rejects.toThrow(expect.objectContaining({ code: "INVALID_OPTION" }));
  });
});

describe("where a stream begins", () => {
  it("without a cursor with what comes next, with all that is kept, or with the last few", async () => {
    for (let index = 0; index < 10; index++) await hub.publish(index % 2 ? "a" : "b", { data: index });
    const topics = ["a", "b"];
    const all = await connect(hub, { topics, from: "start" });
    const last = await connect(hub, { topics, from: { last: 3 } });
    const none = await connect(hub, { topics, from: { last: 0 } });
    const now = await connect(hub, { topics });
    const one = await connect(hub, { topics: "a", from: { last: 3 } });
    await hub.publish("a", { data: 10 });
    for (const client of [all, last, none, now, one]) await client.until(({ data }) => data.at(-1) === "10");
    expect(all.data).toEqual(numbers(11));
    expect(last.data).toEqual(["7", "8", "9", "10"]);
    expect(none.data).toEqual(["10"]);
    expect(now.data).toEqual(["10"]);
    expect(one.data).toEqual(["5", "7", "9", "10"]);
    for (const client of [all, last, none, now, one]) expect(client.gaps).toEqual([]);
  });

  it("from the start says nothing of what was trimmed before: nobody has lost it", async () => {
    const kept = createHub({ retention: (topic) => ({ maxEvents: topic === "a" ? 2 : 5 }) });
    await kept.publish("a", numbered(10));
    await kept.publish("b", numbered(10, 10));
    await kept.publish("a", numbered(1, 20));
    const client = await connect(kept, { topics: ["a", "b"], from: "start" });
    await client.until(({ data }) => data.at(-1) === "20");
    expect(client.data).toEqual(["9", ...numbers(6, 15)]);
    expect(client.gaps).toEqual([]);
    await kept.close();
  });

  it("after the header's cursor, or the query's where there is no header", async () => {
    const ids = await hub.publish("t", numbered(5));
    const inQuery = await connect(hub, { topics: "t", url: `/events?a=b&lastEventId=${ids[3]}` });
    await inQuery.until(({ data }) => data.length === 1);
    expect(inQuery.data).toEqual(["4"]);
    const both = await connect(hub, {
      topics: "t",
      url: `/events?lastEventId=${ids[0]}`,
      lastEventId: ids[2],
    });
    await both.until(({ data }) => data.length === 2);
    expect(both.data).toEqual(["3", "4"]);
    expect(both.checkpoints[0]).toBe(ids[2]);
  });

  it("nothing is missed between deciding on a request and attaching its transport", async () => {
    const client = await openClient(hub, { topics: "t" });
    for (const from of [0, 1000]) await hub.publish("t", numbered(1000, from));
    await hub.publish("t", { data: "x".repeat(500_000) });
    await hub.publish("t", { data: "end" });
    expect(client.events).toEqual([]);
    client.attach();
    await client.until(({ data }) => data.at(-1) === '"end"');
    // The topic keeps 1,000 events, and says what became of the others.
    expect(client.gaps).toEqual([expect.objectContaining({ topic: "t", reason: "trimmed" })]);
    expect(client.data.slice(0, -2)).toEqual(numbers(998, 1002));
    expect(client.comments).toHaveLength(1);
  });

  it("a client that has left before its transport was attached leaves nothing behind", async () => {
    await hub.position();
    const before = pulseSize();
    for (let index = 0; index < 100; index++) {
      const client = await openClient(hub, { topics: [`t${index}`, "common"] });
      client.leave();
    }
    expect(hub.stats()).toMatchObject({ sessions: 0, topics: 0, closed: { disconnected: 100 } });
    expect(pulseSize()).toBe(before);
  });
});

describe("as a Response", () => {
  it("the stream ends when its reader cancels or the request is aborted, and the request's signal says so", async () => {
    const aborting = new AbortController();
    const cancelled = request();
    const aborted = request({}, { signal: aborting.signal });
    const first = await hub.respond(cancelled, { topics: "t" });
    await hub.respond(aborted, { topics: "t" });
    expect(hub.stats().sessions).toBe(2);
    await first.body?.cancel();
    aborting.abort();
    expect(hub.stats()).toMatchObject({ sessions: 0, topics: 0, closed: { cancelled: 1, disconnected: 1 } });
    expect([cancelled.signal.aborted, aborted.signal.aborted]).toEqual([true, true]);
  });

  it("a request that was aborted before opens nothing that stays", async () => {
    const response = await hub.respond(request({}, { signal: AbortSignal.abort() }), { topics: "t" });
    await response.text().catch(() => undefined);
    expect(hub.stats()).toMatchObject({ sessions: 0, topics: 0 });
  });
});
