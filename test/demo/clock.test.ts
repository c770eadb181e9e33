import { collectEvents } from "everstream/testing";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type DemoServer, serveDemo } from "./serve-demo.ts";

let demo: DemoServer;
beforeAll(async () => {
  demo = await serveDemo({ clockMs: 5, pingMs: 5 });
});
afterAll(() => demo.close());

describe("GET /api/events", () => {
  test("tells the time in `message` events with rising ids", async () => {
    const before = Date.now();
    const events = await collectEvents(await demo.api("/events"), { count: 4 });
    expect(events.map(({ event }) => event)).toEqual(Array(4).fill("message"));
    expect(events.map(({ lastEventId }) => lastEventId)).toEqual(["0", "1", "2", "3"]);
    for (const { data } of events) {
      const { time } = JSON.parse(data) as { time: number };
      expect(time).toBeGreaterThanOrEqual(before);
      expect(time).toBeLessThanOrEqual(Date.now());
    }
  });

  test("goes on counting for a client that returns", async () => {
    const response = await demo.api("/events", { headers: { "Last-Event-ID": "41" } });
    const [first] = await collectEvents(response, { count: 1 });
    expect(first?.lastEventId).toBe("42");
  });

  test("starts anew where the last id is none of its own", async () => {
    const response = await demo.api("/events", { headers: { "Last-Event-ID": "9z-1" } });
    const [first] = await collectEvents(response, { count: 1 });
    expect(first?.lastEventId).toBe("0");
  });
});

test("GET /api/ping tells a timestamp in `ping` events", async () => {
  const events = await collectEvents(await demo.api("/ping"), { count: 2 });
  for (const { event, data } of events) {
    expect(event).toBe("ping");
    expect(JSON.parse(data)).toEqual({ timestamp: expect.any(Number) });
  }
});
