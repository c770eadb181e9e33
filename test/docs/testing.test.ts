// What docs/testing.md says of its examples, seen in them.
import type { Hub } from "everstream";
import type { RawResponse } from "everstream/testing";
import { expect, it, onTestFinished } from "vitest";
import { type ExampleChoice, writeExample } from "../setup/doc-example.ts";

/** Runs an example, whose servers are on free ports and closed by itself. Resolves to names of its own. */
async function run(names: readonly string[], choice?: ExampleChoice): Promise<Record<string, unknown>> {
  const file = await writeExample("docs/testing.md", `export { ${names.join(", ")} };`, choice);
  return (await import(/* @vite-ignore */ file)) as Record<string, unknown>;
}

it("opens with a client that is cut off and gets what it missed", async () => {
  const values = await run(["hub", "first", "again"]);
  onTestFinished(() => (values.hub as Hub).close());
  const [first, again] = [values.first as RawResponse, values.again as RawResponse];
  const data = ({ events }: RawResponse) =>
    events.filter(({ event }) => event === "message").map((event) => event.data);
  expect(await first.ended).toBe("cut");
  expect([data(first), data(again)]).toEqual([["1"], ["2"]]);
});

it("reads a handler's response until there is enough", async () => {
  const values = await run(["events"], { below: "Without a server" });
  const ticks = [1, 2, 3].map((count) => ({ event: "tick", data: JSON.stringify({ count }) }));
  expect(values.events).toMatchObject(ticks);
});

it("has a server that resets, refuses, and then answers by the cursor", async () => {
  const values = await run(["data"], { below: "A server that misbehaves" });
  expect((values.data as string[]).at(-1)).toMatch(/^after /);
});
