import { createHub, type Hub, type PublishedEvent } from "everstream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { until } from "../session/eventually.ts";
import { connect, numbered, numbers } from "./client.ts";

let hub: Hub;
beforeEach(() => {
  hub = createHub();
});
afterEach(() => hub.close());

const code = (expected: string) => expect.objectContaining({ name: "EverstreamError", code: expected });

describe("publishing", () => {
  it("resolves to the ids by which clients see the events", async () => {
    const client = await connect(hub, { topics: "t" });
    const id = await hub.publish("t", { data: 1 });
    const ids = await hub.publish("t", numbered(2, 2));
    await client.until(({ data }) => data.length === 3);
    expect(client.events.map(({ lastEventId }) => lastEventId)).toEqual([id, ...ids]);
  });

  it("sends data as JSON, text as it is, and nothing as nothing", async () => {
    const client = await connect(hub, { topics: "t" });
    await hub.publish("t", [
      { type: "a", data: { line: "one\ntwo", dash: "–" } },
      { text: "one\ntwo" },
      { type: "message", data: null },
      { type: "b" },
      { type: "", text: "" },
    ]);
    await client.until(({ events }) => events.length === 5);
    expect(client.events.map(({ event, data }) => [event, data])).toEqual([
      ["a", '{"line":"one\\ntwo","dash":"–"}'],
      ["message", "one\ntwo"],
      ["message", "null"],
      ["b", ""],
      ["message", ""],
    ]);
  });

  it("hands an event over in the turn in which it was published while nothing else is going on", async () => {
    const client = await connect(hub, { topics: "t" });
    await client.until(({ checkpoints }) => checkpoints.length > 0);
    for (let turns = 0; turns < 2; turns++) await new Promise((resolve) => setImmediate(resolve));
    const publishing = hub.publish("t", { data: 1 });
    expect(client.data).toEqual(["1"]);
    await publishing;
  });

  it("lets the event loop go round, however eagerly a loop awaits it, with readers and without", async () => {
    for (const readers of [0, 3]) {
      for (let index = 0; index < readers; index++) await connect(hub, { topics: "t" });
      let rounds = 0;
      const timer = setInterval(() => rounds++, 1);
      while (rounds < 3) await hub.publish("t", { data: 1 });
      clearInterval(timer);
    }
  });

  it("joins what is published under pressure into few writes", async () => {
    const clients = await Promise.all(Array.from({ length: 200 }, () => connect(hub, { topics: "t" })));
    for (let index = 0; index < 2000; index++) await hub.publish("t", { data: index });
    for (const client of clients) {
      await client.until(({ data }) => data.length === 2000);
      expect(client.data).toEqual(numbers(2000));
      expect(client.sink.writes).toBeLessThan(1000);
    }
  });

  it.each<[string, PublishedEvent, string]>([
    ["a reserved type", { type: "sse:gap", data: 1 }, "RESERVED_TYPE"],
    ["a type that forges fields", { type: "a\ndata: b" }, "INVALID_EVENT"],
    ["a type under the wire's name", { event: "a" } as PublishedEvent, "INVALID_EVENT"],
    ["data and text", { data: 1, text: "1" }, "INVALID_EVENT"],
    ["text that is none", { text: 1 as unknown as string }, "INVALID_EVENT"],
    ["a key that is too long", { key: "k".repeat(257) }, "INVALID_EVENT"],
    ["meta that is no text", { meta: { a: 1 as unknown as string } }, "INVALID_EVENT"],
    ["a function", { data: () => 1 }, "NOT_SERIALIZABLE"],
    ["a bigint", { data: 1n }, "NOT_SERIALIZABLE"],
    ["too much", { text: "x".repeat(1024 * 1024) }, "EVENT_TOO_LARGE"],
    ["too many lines", { text: "\n".repeat(200_000) }, "EVENT_TOO_LARGE"],
    ["nothing at all", undefined as unknown as PublishedEvent, "INVALID_EVENT"],
  ])("refuses %s, and with it the whole batch", async (_, event, expected) => {
    await expect(hub.publish("t", event)).rejects.toThrow(code(expected));
    await expect(hub.publish("t", [{ data: 1 }, event])).rejects.toThrow(code(expected));
    expect(hub.stats().published).toBe(0);
  });

  it("refuses a cycle with its reason, an empty batch and one of more than 1,000", async () => {
    const cycle: Record<string, unknown> = {};
    cycle.self = cycle;
    await expect(hub.publish("t", { data: cycle })).rejects.toThrow(code("NOT_SERIALIZABLE"));
    await expect(hub.publish("t", [])).rejects.toThrow(code("INVALID_EVENT"));
    await expect(hub.publish("t", numbered(1001))).rejects.toThrow(code("INVALID_EVENT"));
    expect(await hub.publish("t", numbered(1000))).toHaveLength(1000);
  });

  it("takes no event that the parser's default bound would refuse", async () => {
    let largest = 1024 * 1024;
    const client = await connect(hub, { topics: "t" });
    for (const text of ["x", "–", "\n"]) {
      for (let step = largest; step >= 1; step = Math.floor(step / 2)) {
        const accepted = await hub.publish("t", { text: text.repeat(largest) }).then(
          () => true,
          () => false,
        );
        largest += accepted ? step : -step;
      }
      largest = 1024 * 1024;
    }
    // The client's parser has the default bound, and would have thrown.
    expect(client.data.length).toBeGreaterThan(3);
  });

  it.each([
    ["", "INVALID_TOPIC"],
    ["x".repeat(257), "INVALID_TOPIC"],
    ["–".repeat(86), "INVALID_TOPIC"],
    ["\ud800", "INVALID_TOPIC"],
    [42 as unknown as string, "INVALID_TOPIC"],
  ])("refuses the topic %j", async (topic, expected) => {
    await expect(hub.publish(topic, { data: 1 })).rejects.toThrow(code(expected));
    await expect(hub.finish(topic)).rejects.toThrow(code(expected));
    await expect(hub.delete(topic)).rejects.toThrow(code(expected));
    expect(() => hub.subscribe(topic, () => undefined)).toThrow(code(expected));
  });

  it("takes topics of any other text", async () => {
    for (const topic of ["–".repeat(85), "x".repeat(256), "a\nb\0c", "=t", "1:t", "😀"]) {
      const client = await connect(hub, { topics: [topic, "1:t1:u"] });
      await hub.publish(topic, { data: topic });
      await client.until(({ data }) => data.length === 1);
      expect(JSON.parse(client.data[0] as string)).toBe(topic);
    }
  });
});

describe("conditional and repeated publishes", () => {
  it("expectLast: an id, the position or null; else CONFLICT, and nothing is published", async () => {
    const first = await hub.publish("t", { data: 1 }, { expectLast: null });
    await hub.publish("u", { data: 1 });
    const second = await hub.publish("t", { data: 2 }, { expectLast: first });
    await hub.publish("t", { data: 3 }, { expectLast: await hub.position() });
    for (const expectLast of [first, second, null]) {
      await expect(hub.publish("t", numbered(2), { expectLast })).rejects.toThrow(code("CONFLICT"));
    }
    expect(hub.stats().published).toBe(4);
  });

  it("expectLast of another log's life conflicts, and one that is no position is wrong use", async () => {
    const id = await createHub().publish("t", { data: 1 });
    await expect(hub.publish("t", { data: 1 }, { expectLast: id })).rejects.toThrow(code("CONFLICT"));
    const wrong = hub.publish("t", { data: 1 }, { expectLast: "17" });
    await expect(wrong).rejects.toThrow(code("INVALID_POSITION"));
  });

  it("publishId: doing it again publishes nothing and resolves as the first did", async () => {
    const seen: unknown[] = [];
    await hub.subscribe("t", ({ data }) => seen.push(data)).ready;
    const once = () => hub.publish("t", numbered(2), { publishId: "p" });
    const results = await Promise.all([once(), once(), once()]);
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
    await until(() => seen.length >= 2);
    expect(seen).toEqual([0, 1]);
    expect(hub.stats().published).toBe(2);
  });

  it.each(["", "x".repeat(257), 7 as unknown as string])("refuses the publishId %j", async (publishId) => {
    await expect(hub.publish("t", { data: 1 }, { publishId })).rejects.toThrow(code("INVALID_OPTION"));
  });
});

describe("options of a hub", () => {
  it.each([
    { retention: { maxEvents: 0 } },
    { retention: { maxBytes: Number.NaN } },
    { retention: { maxAge: -1 } },
    { limits: { maxTopics: 0 } },
    { limits: { maxEventBytes: "1" as unknown as number } },
    { limits: { maxWaitingBytes: -1 } },
  ])("refuses %j", (options) => {
    expect(() => createHub(options)).toThrow(code("INVALID_OPTION"));
  });

  it("retention by topic is asked for at each publish", async () => {
    const kept = createHub({ retention: (topic) => ({ maxEvents: topic === "few" ? 2 : 4 }) });
    for (const topic of ["few", "more"]) {
      await kept.publish(topic, numbered(10));
      const client = await connect(kept, { topics: topic, from: "start" });
      await client.until(({ data }) => data.at(-1) === "9");
      expect(client.data).toHaveLength(topic === "few" ? 2 : 4);
    }
    await kept.close();
  });

  it("retention by age: what is too old goes by itself", async () => {
    const kept = createHub({ retention: { maxAge: 1 } });
    await kept.publish("t", { data: 1 });
    const start = async () => {
      const client = await connect(kept, { topics: "t", from: "start" });
      await hub.position();
      client.leave();
      return client.data;
    };
    while ((await start()).length > 0) await new Promise((resolve) => setTimeout(resolve, 50));
    await kept.close();
  });
});
