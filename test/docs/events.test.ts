// What docs/events.md says of its example, seen in it.
import type { Hub } from "everstream";
import { type EventSchemas, openEventStream } from "everstream/client";
import { expect, it, onTestFinished } from "vitest";
import { runExample } from "../setup/doc-example.ts";

it("refuses what does not fit, and hands clients data of the right type", async () => {
  const { values, urls } = await runExample("docs/events.md");
  const hub = values.hub as Hub;
  onTestFinished(() => hub.close());
  const wrong = hub.publish("orders", { type: "order", data: { id: "a2", total: -1 } });
  await expect(wrong).rejects.toMatchObject({
    code: "INVALID_DATA",
    message: expect.stringContaining("total: "),
  });

  const stream = openEventStream(urls[0] ?? "", { events: values.events as EventSchemas });
  const read = (async () => {
    for await (const event of stream) return event;
    return undefined;
  })();
  await expect.poll(() => stream.status.state).toBe("open");
  await hub.publish("orders", { type: "order", data: { id: "a3", total: 2 } });
  expect(await read).toMatchObject({ type: "order", data: { id: "a3", total: 2 } });
});
