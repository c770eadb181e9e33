// What docs/moving.md shows, run as it stands against a server that is found at its relative URLs.
import type { EventStream } from "everstream/client";
import { faultServer } from "everstream/testing";
import { expect, it, onTestFinished } from "vitest";
import { eventually } from "../session/eventually.ts";
import { runExample } from "../setup/doc-example.ts";
import { browserAt } from "./page-globals.ts";

const page = "docs/moving.md";

function closeAfterwards(stream: unknown): void {
  onTestFinished(() => (stream as EventStream).close());
}

it("an EventSource becomes a stream with listeners", async () => {
  const body = 'data: a\n\nevent: price\ndata: {"eur":1}\n\n';
  const server = await faultServer([{ body, ending: "stall" }]);
  onTestFinished(() => server.close());
  const { declared, lines } = browserAt(server.url);
  const { values } = await runExample(page, { declared, wanted: ["stream"] });
  closeAfterwards(values.stream);
  await eventually(() => expect(lines).toEqual([["a"], [{ eur: 1 }]]));
});

it("a POST of fetch-event-source becomes a loop, with its end and its errors", async () => {
  const server = await faultServer([{ body: "data: a\n\n" }, { status: 429, body: "slowly" }]);
  onTestFinished(() => server.close());
  const { declared, lines } = browserAt(server.url);
  const choice = { declared, below: "From fetch-event-source" };
  await runExample(page, choice);
  expect(lines).toEqual([["a"], ["over"]]);
  await runExample(page, choice);
  expect(lines.slice(2)).toEqual([[429, "slowly"]]);
  expect(server.requests.map(({ method, body }) => [method, body])).toEqual([
    ["POST", '{"message":"Hello"}'],
    ["POST", '{"message":"Hello"}'],
  ]);
});

it("the callbacks of eventsource-client have their places", async () => {
  const server = await faultServer([{ body: "id: 42\ndata: a\n\n" }]);
  onTestFinished(() => server.close());
  const { declared, lines } = browserAt(server.url);
  const { values } = await runExample(page, {
    declared,
    below: "From eventsource-client",
    wanted: ["stream"],
  });
  closeAfterwards(values.stream);
  await eventually(() =>
    expect(lines.slice(0, 3)).toEqual([
      ["connected"],
      ["message", "a", "42"],
      ["again at", expect.any(Number)],
    ]),
  );
  expect(server.requests[0]?.headers["last-event-id"]).toBe("41");
});
