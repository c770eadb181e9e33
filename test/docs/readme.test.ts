// What README.md says of its examples, seen in them.
import type { Hub } from "everstream";
import { openEventStream } from "everstream/client";
import { collectEvents } from "everstream/testing";
import type { Hono } from "hono";
import { expect, it, onTestFinished } from "vitest";
import { runExample } from "../setup/doc-example.ts";

it("opens with a server whose clients go on with what they missed", async () => {
  const { values, urls } = await runExample("README.md", { wanted: ["hub"] });
  const hub = values.hub as Hub;
  const stream = openEventStream(`${urls[0]}/news`, { minDelay: 1 });
  onTestFinished(async () => {
    stream.close();
    await hub.close();
  });
  const events = stream[Symbol.asyncIterator]();
  const first = events.next();
  await expect.poll(() => hub.stats().sessions).toBe(1);
  const body = JSON.stringify({ text: "first" });
  const headers = { "Content-Type": "application/json" };
  const { id } = (await (await fetch(`${urls[0]}/news`, { method: "POST", headers, body })).json()) as {
    id: string;
  };
  expect((await first).value).toMatchObject({ type: "message", data: body, lastEventId: id });

  hub.disconnect(() => true);
  await hub.publish("news", { data: "missed" });
  expect((await events.next()).value).toMatchObject({ data: '"missed"' });
});

it("has a clock whose events are what its React page shows", async () => {
  const { values } = await runExample("README.md", { below: "A handler", wanted: ["app"] });
  const events = await collectEvents(await (values.app as Hono).request("/clock"), { count: 2 });
  for (const { event, data } of events) {
    // The hook takes `message` events, as JSON.
    expect([event, typeof JSON.parse(data).time]).toEqual(["message", "number"]);
  }
});
