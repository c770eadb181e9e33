// What docs/resume.md says of its example, seen in it.
import type { Hub } from "everstream";
import { rawRequest } from "everstream/testing";
import { expect, it, onTestFinished } from "vitest";
import { runExample } from "../setup/doc-example.ts";

it("opens with a server that gives who returns what it missed, of the topics asked for", async () => {
  const { values, urls } = await runExample("docs/resume.md", { wanted: ["hub"] });
  const hub = values.hub as Hub;
  onTestFinished(() => hub.close());
  const path = "/?topic=a&topic=b";
  const first = await rawRequest(urls[0] ?? "", path);
  const id = await hub.publish("a", { data: 1 });
  await first.until("data: 1");
  first.destroy();
  await hub.publish("b", { data: 2 });
  await hub.publish("other", { data: 3 });
  await hub.publish("a", { data: 4 });
  const again = await rawRequest(urls[0] ?? "", path, { headers: { "Last-Event-ID": id } });
  await again.until("data: 4");
  expect(again.events.filter(({ event }) => event === "message").map(({ data }) => data)).toEqual(["2", "4"]);
});

it("opens with a server that no request target ends", async () => {
  const { values, urls } = await runExample("docs/resume.md", { wanted: ["hub"] });
  onTestFinished(() => (values.hub as Hub).close());
  for (const target of ["//?topic=a", "//", "/?topic=%", "*"]) {
    const { status } = await rawRequest(urls[0] ?? "", target);
    expect(status).toBe(target.includes("topic") ? 200 : 400);
  }
});
