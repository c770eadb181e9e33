import { createHub, type Hub } from "everstream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect, numbered } from "./client.ts";

let hub: Hub;
beforeEach(() => {
  hub = createHub();
});
afterEach(() => hub.close());

describe("reading a topic's past", () => {
  it("gives its events by pages, from wherever the last one ended", async () => {
    await hub.publish("t", numbered(1000));
    await hub.publish("other", { data: "x" });
    await hub.publish("t", numbered(5, 1000), { retention: { maxEvents: 2000 } });
    const first = await hub.read("t");
    expect(first).toMatchObject({ complete: false, known: true, finished: false });
    expect(first.events).toHaveLength(1000);
    const second = await hub.read("t", { after: first.position });
    expect(second.events.map(({ data }) => data)).toEqual([1000, 1001, 1002, 1003, 1004]);
    expect(second.complete).toBe(true);
    expect(await hub.read("t", { after: second.position })).toMatchObject({ events: [], complete: true });
  });

  it("gives the last ones, and as few as asked for", async () => {
    await hub.publish("t", numbered(10));
    expect((await hub.read("t", { last: 3 })).events.map(({ data }) => data)).toEqual([7, 8, 9]);
    expect((await hub.read("t", { limit: 2 })).events.map(({ data }) => data)).toEqual([0, 1]);
  });

  it("tells a topic that never was from one that is finished or erased", async () => {
    expect(await hub.read("never")).toMatchObject({ events: [], known: false, finished: false });
    await hub.publish("done", { data: 1 }, { finish: true });
    expect(await hub.read("done")).toMatchObject({ known: true, finished: true });
    await hub.publish("erased", { data: 1 });
    await hub.delete("erased");
    expect(await hub.read("erased")).toMatchObject({ events: [], known: true, finished: false });
  });

  it("refuses a position that is none", async () => {
    await expect(hub.read("t", { after: "17" })).rejects.toMatchObject({ code: "INVALID_POSITION" });
  });
});

describe("a publish's own retention", () => {
  it("takes the place of the hub's", async () => {
    await hub.publish("t", numbered(10));
    await hub.publish("t", { data: "last" }, { retention: { maxEvents: 2 } });
    expect((await hub.read("t")).events.map(({ data }) => data)).toEqual([9, "last"]);
    await expect(hub.publish("t", { data: 1 }, { retention: { maxEvents: 0 } })).rejects.toMatchObject({
      code: "INVALID_OPTION",
    });
  });
});

describe("a compaction", () => {
  it("tells the past in fewer events, each with the id of the last it stands for, and the present as it is", async () => {
    const ids = await hub.publish("t", numbered(6));
    const client = await connect(hub, {
      topics: "t",
      from: "start",
      compaction: {
        key: "pairs",
        compact: (entries) => entries.filter((_, index) => index % 2 === 1),
      },
    });
    await client.until(({ data }) => data.length === 3);
    expect(client.events.map(({ data, lastEventId }) => [data, lastEventId])).toEqual([
      ["1", ids[1]],
      ["3", ids[3]],
      ["5", ids[5]],
    ]);
    await hub.publish("t", numbered(2, 6));
    await client.until(({ data }) => data.length === 5);
    expect(client.data).toEqual(["1", "3", "5", "6", "7"]);
    const plain = await connect(hub, { topics: "t", from: "start" });
    await plain.until(({ data }) => data.length === 8);
  });
});
