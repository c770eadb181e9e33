import { createHub, type Hub, memoryLog } from "everstream";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { connect } from "./client.ts";
import { remoteLog } from "./remote-log.ts";

let hub: Hub;

describe("idle clients", () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["setInterval", "clearInterval", "performance"] });
    hub = createHub();
  });
  afterEach(async () => {
    await hub.close();
    vi.useRealTimers();
  });

  it("get the position while only others' topics move, so that their cursor stays good", async () => {
    const small = createHub({ retention: { maxEvents: 5 } });
    const client = await connect(small, { topics: "quiet" });
    await client.until(({ checkpoints }) => checkpoints.length === 1);
    // Topics that come and go raise the floor, below which nothing is known of a topic that has no events.
    for (let index = 0; index < 2000; index++) {
      await small.publish(`short-lived-${index}`, { data: index });
      await small.delete(`short-lived-${index}`);
    }
    const stale = client.lastEventId;
    vi.advanceTimersByTime(12_000);
    await client.until(({ checkpoints }) => checkpoints.length === 2);
    expect(client.lastEventId).toBe(await small.position());
    expect(client.events).toEqual([]);
    client.leave();
    const again = await connect(small, { topics: "quiet", lastEventId: client.lastEventId });
    const late = await connect(small, { topics: "quiet", lastEventId: stale });
    await small.publish("quiet", { data: "after" });
    for (const one of [again, late]) await one.until(({ data }) => data.length === 1);
    expect(again.gaps).toEqual([]);
    expect(late.gaps).toEqual([expect.objectContaining({ topic: "quiet", reason: "trimmed", after: stale })]);
    await small.close();
  });

  it("get the position at once where a replay had nothing for them", async () => {
    const id = await hub.publish("quiet", { data: 1 });
    for (let index = 0; index < 10; index++) await hub.publish("other", { data: index });
    const client = await connect(hub, { topics: "quiet", lastEventId: id });
    await client.until(({ checkpoints }) => checkpoints.length === 2);
    expect(client.checkpoints).toEqual([id, await hub.position()]);
  });

  it("keep their position over a hole in the feed, and are told of no gap that is none", async () => {
    let lossy = false;
    const far = createHub({ log: remoteLog(memoryLog(), { loses: () => lossy }) });
    const client = await connect(far, { topics: "quiet" });
    await client.until(({ checkpoints }) => checkpoints.length === 1);
    for (let index = 0; index < 1500; index++) {
      await far.publish(`short-lived-${index}`, { data: index });
      await far.delete(`short-lived-${index}`);
    }
    lossy = true;
    await far.publish("other", { data: "lost" });
    lossy = false;
    await far.publish("quiet", { data: "after" });
    await client.until(({ data }) => data.length === 1);
    expect(client.gaps).toEqual([]);
    await far.close();
  });

  it("get no position while nothing moves, only heartbeats", async () => {
    const client = await connect(hub, { topics: "t", heartbeat: 5000 });
    await client.until(({ checkpoints }) => checkpoints.length === 1);
    vi.advanceTimersByTime(60_000);
    await hub.position();
    expect(client.checkpoints).toHaveLength(1);
    expect(client.comments.length).toBeGreaterThan(5);
  });

  it("are spared a heartbeat where the position says as much", async () => {
    const client = await connect(hub, { topics: "t", heartbeat: 15_000 });
    await client.until(({ checkpoints }) => checkpoints.length === 1);
    for (let second = 0; second < 60; second++) {
      await hub.publish("other", { data: second });
      vi.advanceTimersByTime(1000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(client.checkpoints.length).toBeGreaterThanOrEqual(5);
    expect(client.comments).toHaveLength(1);
  });

  it.each([
    ["comments give way to the position", 5000, 0],
    ["events that listeners wait for come beside it", { every: 5000, event: "ping" }, 10],
  ])("with heartbeats more often than positions: %s", async (_, heartbeat, visible) => {
    const client = await connect(hub, { topics: "t", heartbeat });
    await client.until(({ checkpoints }) => checkpoints.length === 1);
    const [hello] = client.comments;
    for (let second = 0; second < 60; second++) {
      await hub.publish("other", { data: second });
      vi.advanceTimersByTime(1000);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(client.checkpoints.length).toBeGreaterThanOrEqual(10);
    expect(client.comments).toEqual([hello]);
    expect(client.events.filter(({ event }) => event === "ping").length).toBeGreaterThanOrEqual(visible);
  });

  it("a session that is behind is told no position that it has not reached", async () => {
    const client = await connect(hub, { topics: "t" });
    await client.until(({ checkpoints }) => checkpoints.length === 1);
    client.sink.stalled = true;
    await hub.publish("t", { data: 1 });
    await hub.publish("t", { data: 2 });
    await hub.publish("other", { data: 3 });
    vi.advanceTimersByTime(12_000);
    client.sink.stalled = false;
    client.sink.drain();
    await client.until(({ data }) => data.length === 2);
    const [, second] = client.events;
    expect(client.checkpoints).toHaveLength(1);
    expect(client.lastEventId).toBe(second?.lastEventId);
  });
});
