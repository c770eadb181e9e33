// The example that docs/drain.md opens with, in a process of its own that is told to stop.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { rawRequest } from "everstream/testing";
import { expect, it, onTestFinished } from "vitest";
import { bundleExample } from "../setup/doc-example.ts";

it("opens with a server that at SIGTERM sends its clients away with their position, and ends", async () => {
  const last = 'server.once("listening", () => console.log(server.address().port));';
  const script = await bundleExample("docs/drain.md", { last });
  const child = spawn(process.execPath, [script], {
    env: { ...process.env, PORT: "0" },
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  const ended = once(child, "exit");
  const [port] = await once(child.stdout, "data");
  const headers = { Accept: "text/event-stream" };
  const clients = await Promise.all(
    Array.from({ length: 5 }, () => rawRequest(Number(port), "/", { headers })),
  );
  for (const client of clients) await client.until("sse:live");
  child.kill("SIGTERM");
  for (const client of clients) {
    expect(await client.ended).toBe("complete");
    expect(client.events.at(-1)).toMatchObject({
      event: "sse:live",
      lastEventId: expect.stringMatching(/-0$/),
    });
    expect(client.body).toMatch(/\nretry: \d+\n\n$/);
  }
  expect(await ended).toEqual([0, null]);
});
