// What docs/hub.md says of its examples, seen in them.
import type { Hub } from "everstream";
import { rawRequest } from "everstream/testing";
import { expect, it, onTestFinished, vi } from "vitest";
import { until } from "../session/eventually.ts";
import { runExample } from "../setup/doc-example.ts";

const page = "docs/hub.md";
const stream = { headers: { Accept: "text/event-stream" } };

function closeAfterwards(hub: unknown): Hub {
  onTestFinished(() => (hub as Hub).close());
  return hub as Hub;
}

it("opens with a server: what is published reaches who listens, and who returns gets what it missed", async () => {
  const { values, urls } = await runExample(page, { wanted: ["hub"] });
  closeAfterwards(values.hub);
  const [url = ""] = urls;
  const publish = async () => (await fetch(url, { method: "POST" })).text();
  const first = await rawRequest(url, "/", stream);
  const ids = [await publish()];
  await first.until("headline");
  expect(first.events.at(-1)).toMatchObject({
    event: "headline",
    data: '{"text":"It works"}',
    lastEventId: ids[0],
  });
  first.destroy();
  ids.push(await publish(), await publish());
  const again = await rawRequest(url, "/", { headers: { ...stream.headers, "Last-Event-ID": ids[0] ?? "" } });
  await again.until(ids[2] ?? "");
  const news = again.events.filter(({ event }) => event === "headline");
  expect(news.map(({ lastEventId }) => lastEventId)).toEqual(ids.slice(1));
});

it("a page's position is from before its state was read", async () => {
  const { values } = await runExample(page, { below: "Gaps", wanted: ["hub"] });
  const hub = closeAfterwards(values.hub);
  const snapshot = values.snapshot as (read: () => Promise<unknown>) => Promise<{ position: string }>;
  const { position } = await snapshot(() => hub.publish("t", { data: "while it was read" }));
  const next = await hub.events("t", { after: position })[Symbol.asyncIterator]().next();
  expect(next.value).toMatchObject({ data: "while it was read" });
});

it("rights are as the example grants them", async () => {
  const users: Record<string, unknown> = {};
  const { values, urls } = await runExample(page, {
    below: "Rights and limits",
    declared: { userOf: async (cookie: string) => users[cookie] },
    wanted: ["hub"],
  });
  const hub = closeAfterwards(values.hub);
  await hub.publish("room:1", { data: "before" });
  const joinedAt = await hub.position();
  users.ann = { id: "ann", tokenExpiresAt: Date.now() + 60_000, rooms: [{ id: "1", joinedAt }] };
  const [url = ""] = urls;
  const headers = { ...stream.headers, Cookie: "ann", "Last-Event-ID": joinedAt };
  const ann = await rawRequest(url, "/", { headers });
  await hub.publish("room:1", { data: "after" });
  await hub.publish("lobby", { data: "hello" });
  await ann.until("hello");
  expect(ann.body).not.toContain("before");
  expect(ann.body).toContain("after");
  expect((await rawRequest(url, "/", stream)).status).toBe(403);
});

it("retention is by topic", async () => {
  const { values } = await runExample(page, { below: "What is kept", wanted: ["hub"] });
  const hub = closeAfterwards(values.hub);
  for (let index = 0; index < 200; index++) await hub.publish("ticker:usd", { data: index });
  expect((await hub.read("ticker:usd")).events).toHaveLength(100);
  for (let index = 0; index < 200; index++) await hub.publish("other", { data: index });
  expect((await hub.read("other")).events).toHaveLength(200);
});

it("a closed session is told of with its key and its reason", async () => {
  const { values } = await runExample(page, { below: "Seeing what happens", wanted: ["hub"] });
  const hub = closeAfterwards(values.hub);
  const said = vi.spyOn(console, "log").mockImplementation(() => undefined);
  onTestFinished(() => said.mockRestore());
  const response = await hub.respond(new Request("http://localhost/"), { topics: "t", key: "ann" });
  await response.body?.cancel();
  await until(() => hub.stats().sessions === 0);
  expect(said).toHaveBeenCalledExactlyOnceWith(
    expect.stringMatching(/^ann was there for \d+ ms: cancelled$/),
  );
});
