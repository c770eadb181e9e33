// The example of docs/sharing.md, as it stands, where nothing can be shared: it has to work there, too.
import type { EventStream } from "everstream/client";
import { faultServer } from "everstream/testing";
import { expect, it, onTestFinished, vi } from "vitest";
import { runExample } from "../setup/doc-example.ts";

it("gets its events over a connection of its own where the runtime has no locks", async () => {
  const server = await faultServer([{ body: "event: alert\ndata: fire\n\n", ending: "stall" }]);
  onTestFinished(() => server.close());
  const lines: unknown[] = [];
  for (const method of ["log", "warn"] as const) {
    const spy = vi.spyOn(console, method).mockImplementation((line: unknown) => void lines.push(line));
    onTestFinished(() => spy.mockRestore());
  }
  const { fetch, Request } = globalThis;
  class PageRequest extends Request {
    constructor(url: string, init?: RequestInit) {
      super(new URL(url, server.url), init);
    }
  }
  const declared = {
    Request: PageRequest,
    fetch: (url: string, init?: RequestInit) => fetch(new URL(url, server.url), init),
  };
  const { values } = await runExample("docs/sharing.md", { declared, wanted: ["stream"] });
  onTestFinished(() => (values.stream as EventStream).close());
  await vi.waitFor(() => expect(lines).toEqual(["open", "fire"]));
});
