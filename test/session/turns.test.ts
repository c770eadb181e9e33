import { once } from "node:events";
import { createServer, type Server } from "node:http";
import { createAdaptorServer } from "@hono/node-server";
import { streamEvents } from "everstream";
import { streamSSE } from "everstream/hono";
import { streamSSE as streamOnNode } from "everstream/node";
import { serveForTest } from "everstream/testing";
import { Hono } from "hono";
import { describe, expect, test } from "vitest";
import type { EventStreamWriter } from "../../src/session/stream.ts";

/** Writes as fast as it may, without ever sleeping, until the stream has ended. */
type Flood = (stream: EventStreamWriter) => Promise<void>;

const data = "x".repeat(100);

function honoServer(flood: Flood, direct: boolean): Server {
  const app = new Hono().get("/", (c) => streamSSE(c, flood, undefined, { direct }));
  return createAdaptorServer({ fetch: app.fetch }) as Server;
}

const ways: [string, (flood: Flood) => Server][] = [
  ["Node", (flood) => createServer((req, res) => streamOnNode(req, res, flood))],
  ["Hono, past its copying loop", (flood) => honoServer(flood, true)],
  ["Hono, through the web stream", (flood) => honoServer(flood, false)],
];

describe("a handler that writes without ever sleeping", () => {
  test.each(ways)("lets timers run and sees its client leave: %s", async (_, serve) => {
    let ticks = 0;
    const timer = setInterval(() => ticks++, 5);
    const reasons: string[] = [];
    const server = await serveForTest(
      serve(async (stream) => {
        void stream.closeReason.then((reason) => reasons.push(reason));
        while (!stream.closed) await stream.writeSSE({ data });
      }),
    );
    const client = new AbortController();
    const response = await fetch(server.url, { signal: client.signal });
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    for (let bytes = 0; bytes < 1_000_000; ) bytes += (await reader.read()).value?.length ?? 0;
    expect(ticks).toBeGreaterThan(0);
    client.abort();
    await expect.poll(() => reasons[0]).toMatch(/disconnected|cancelled/);
    clearInterval(timer);
    await server.close();
  });

  test("lets timers run in a Fetch server with a quick reader", async () => {
    const response = streamEvents(new Request("http://localhost/"), async (stream) => {
      while (!stream.closed) await stream.writeSSE({ data });
    });
    const fired = new Promise((resolve) => setTimeout(resolve, 5));
    const reader = (response.body as ReadableStream<Uint8Array>).getReader();
    let late = false;
    void fired.then(() => {
      late = true;
    });
    while (!late) await reader.read();
    await reader.cancel();
    await fired;
  });

  test("does not hang the process once its client has left, even if it never looks", async () => {
    const aborter = new AbortController();
    let writes = 0;
    const response = streamEvents(
      new Request("http://localhost/", { signal: aborter.signal }),
      async (stream) => {
        while (writes < 5000) {
          writes++;
          await stream.writeSSE({ data });
        }
      },
    );
    aborter.abort();
    await response.text().catch(() => undefined);
    await expect.poll(() => writes).toBe(5000);
  });
});

describe("a signal that was read before the stream began", () => {
  test("of a Fetch request, is aborted at the finish", async () => {
    const request = new Request("http://localhost/");
    const { signal } = request;
    const aborted = once(signal, "abort");
    const response = streamEvents(request, () => undefined);
    await response.text();
    await aborted;
    expect(signal.aborted).toBe(true);
    expect(signal.reason).toMatchObject({ code: "STREAM_ENDED" });
  });

  test("of Hono's on Node, is aborted at the finish", async () => {
    let signal: AbortSignal | undefined;
    const app = new Hono().get("/", (c) => {
      signal = c.req.raw.signal;
      return streamSSE(c, async (stream) => stream.send("one", 1));
    });
    const server = await serveForTest(createAdaptorServer({ fetch: app.fetch }) as Server);
    await (await fetch(server.url)).text();
    await expect.poll(() => signal?.aborted).toBe(true);
    await server.close();
  });
});
