import { createHub, type Hub } from "everstream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect, numbered, numbers } from "./client.ts";

let hub: Hub;
beforeEach(() => {
  hub = createHub();
});
afterEach(() => hub.close());

const code = (expected: string) => expect.objectContaining({ code: expected });

async function statusOf(topics: string | string[], lastEventId?: string): Promise<number> {
  const headers: Record<string, string> = lastEventId === undefined ? {} : { "last-event-id": lastEventId };
  const response = await hub.respond(new Request("http://localhost/", { headers }), { topics });
  await response.body?.cancel();
  return response.status;
}

describe("finishing a topic", () => {
  it("ends its readers in-band once they have everything, and answers those who return with 204", async () => {
    const client = await connect(hub, { topics: "t" });
    await hub.publish("t", numbered(3));
    const end = await hub.finish("t");
    await client.until(({ session }) => session.closed);
    expect(client.data).toEqual(numbers(3));
    expect(client.events.at(-1)).toEqual({ event: "sse:end", data: "{}", lastEventId: end });
    expect(client.session.closeReason).toBe("finished");
    expect(client.sink.ended).toBe(true);
    expect(await statusOf("t", client.lastEventId)).toBe(204);
    expect(hub.stats()).toMatchObject({ sessions: 0, topics: 0 });
  });

  it("who returns before the end gets the rest and the end, who comes for the first time only that", async () => {
    const [first] = await hub.publish("t", numbered(3));
    await hub.finish("t");
    const returning = await connect(hub, { topics: "t", lastEventId: first });
    const late = await connect(hub, { topics: "t" });
    const all = await connect(hub, { topics: "t", from: "start" });
    for (const client of [returning, late, all]) await client.until(({ session }) => session.closed);
    expect(returning.data).toEqual(["1", "2"]);
    expect(late.data).toEqual([]);
    expect(all.data).toEqual(numbers(3));
    for (const client of [returning, late, all]) {
      expect(client.events.at(-1)?.event).toBe("sse:end");
      expect(await statusOf("t", client.lastEventId)).toBe(204);
    }
  });

  it("a reader of several topics goes on until all are finished", async () => {
    const client = await connect(hub, { topics: ["a", "b"] });
    await hub.finish("a");
    const id = await hub.publish("b", { data: 1 });
    await client.until(({ data }) => data.length === 1);
    expect(client.session.closed).toBe(false);
    expect(await statusOf(["a", "b"], id)).toBe(200);
    await hub.publish("b", { data: 2 }, { finish: true });
    await client.until(({ session }) => session.closed);
    expect(client.data).toEqual(["1", "2"]);
    expect(await statusOf(["b", "a"], client.lastEventId)).toBe(204);
    expect(await statusOf(["a", "b", "c"], client.lastEventId)).toBe(200);
  });

  it("a slow reader gets everything before it ends", async () => {
    const client = await connect(hub, { topics: "t" });
    await client.until(({ checkpoints }) => checkpoints.length === 1);
    client.sink.stalled = true;
    for (const from of [0, 400]) await hub.publish("t", numbered(400, from));
    await hub.finish("t");
    await new Promise((resolve) => setImmediate(resolve));
    expect(client.session.closed).toBe(false);
    client.sink.stalled = false;
    client.sink.drain();
    await client.until(({ session }) => session.closed);
    expect(client.data).toEqual(numbers(800));
    expect(client.events.at(-1)?.event).toBe("sse:end");
  });

  it("refuses to publish there from then on, with events and without, alone and in batches", async () => {
    const end = await hub.finish("t");
    await expect(hub.publish("t", { data: 1 })).rejects.toThrow(code("TOPIC_FINISHED"));
    await expect(hub.publish("t", numbered(2), { finish: true })).rejects.toThrow(code("TOPIC_FINISHED"));
    expect(await hub.finish("t")).toBe(end);
    await hub.publish("other", { data: 1 });
  });

  it("finish together with the last event is one step: no reader sees one without the other to come", async () => {
    const client = await connect(hub, { topics: "t" });
    const id = await hub.publish("t", { type: "done", data: {} }, { finish: true });
    await client.until(({ session }) => session.closed);
    expect(client.events.map(({ event }) => event)).toEqual(["done", "sse:end"]);
    expect(client.events[0]?.lastEventId).toBe(id);
  });

  it("a deleted topic begins anew", async () => {
    await hub.publish("t", { data: 1 }, { finish: true });
    await hub.delete("t");
    const client = await connect(hub, { topics: "t", from: "start" });
    await hub.publish("t", { data: 2 });
    await client.until(({ data }) => data.length === 1);
    expect(client.data).toEqual(["2"]);
    expect(client.session.closed).toBe(false);
  });
});
