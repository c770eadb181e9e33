// What docs/slow-consumers.md says of its example, seen in it.
import type { Hub } from "everstream";
import { rawRequest } from "everstream/testing";
import { expect, it, onTestFinished } from "vitest";
import { runExample } from "../setup/doc-example.ts";

const EVENTS = 2500;
const TEXT = "x".repeat(4000);

it("who is slow gets the newest of each key, and who is not gets everything", async () => {
  const { values, urls } = await runExample("docs/slow-consumers.md", { wanted: ["hub"] });
  const hub = values.hub as Hub;
  onTestFinished(() => hub.close());
  const [url = ""] = urls;
  const [slow, quick] = await Promise.all([rawRequest(url, "/"), rawRequest(url, "/")]);
  await Promise.all([slow.until("sse:live"), quick.until("sse:live")]);
  slow.pause();
  for (let index = 0; index < EVENTS; index++) {
    await hub.publish("prices:nyse", { data: `${index} ${TEXT}`, key: index % 2 === 0 ? "ACME" : "INIT" });
  }
  const last = `"${EVENTS - 1} x`;
  await quick.until(last, 20_000);
  slow.resume();
  await slow.until(last, 20_000);
  expect(quick.body.match(/^data: "/gm)).toHaveLength(EVENTS);
  const received = [...slow.body.matchAll(/^data: "(\d+) /gm)].map((match) => Number(match[1]));
  expect(received.length).toBeLessThan(EVENTS);
  expect(received.slice(-2)).toEqual([EVENTS - 2, EVENTS - 1]);
  expect(slow.body).not.toContain("sse:gap");
});
