// The example of docs/sharing.md, as it stands, where nothing can be shared: it has to work there, too.
import type { EventStream } from "everstream/client";
import { faultServer } from "everstream/testing";
import { expect, it, onTestFinished } from "vitest";
import { eventually } from "../session/eventually.ts";
import { runExample } from "../setup/doc-example.ts";
import { browserAt } from "./page-globals.ts";

it("gets its events over a connection of its own where the runtime has no locks", async () => {
  const server = await faultServer([{ body: "event: alert\ndata: fire\n\n", ending: "stall" }]);
  onTestFinished(() => server.close());
  const { declared, lines } = browserAt(server.url);
  const { values } = await runExample("docs/sharing.md", { declared, wanted: ["stream"] });
  onTestFinished(() => (values.stream as EventStream).close());
  await eventually(() => expect(lines).toEqual([["open"], ["fire"]]));
});
