// Slow consumers over real sockets and by the real clock: the kernel takes some megabytes in a client's place.
import type { Socket } from "node:net";
import { createHub } from "everstream";
import { streamTopics } from "everstream/node";
import { rawRequest, serveForTest } from "everstream/testing";
import { expect, it, onTestFinished } from "vitest";

/** Well over what the kernel takes for a client that does not read. */
const EVENTS = 3000;
const TEXT = "x".repeat(4000);

it.each([
  ["dropOldest", 1],
  ["resume", 0],
] as const)(
  "%s: who reads gets everything while another takes nothing, and little waits for that one",
  { timeout: 120_000 },
  async (policy, gaps) => {
    const retention = { maxEvents: 1e6, maxBytes: 1e9 };
    const hub = createHub({ slowConsumer: policy, retention, limits: { maxWaitingBytes: 64 * 1024 } });
    onTestFinished(() => hub.close());
    const sockets: Socket[] = [];
    const server = await serveForTest((req, res) => {
      sockets.push(req.socket);
      void streamTopics(req, res, hub, { topics: "t", stallTimeout: 600_000 });
    });
    onTestFinished(() => server.close());
    const stalled = await rawRequest(server, "/");
    await stalled.until("sse:live");
    stalled.socket.pause();
    const others = await Promise.all(Array.from({ length: 2 }, () => rawRequest(server, "/")));
    for (let index = 0; index < EVENTS; index++) await hub.publish("t", { data: `${index} ${TEXT}` });
    await Promise.all(others.map((one) => one.until(`"${EVENTS - 1} x`, 60_000)));
    expect(sockets[0]?.writableLength).toBeGreaterThan(0);
    expect(sockets[0]?.writableLength).toBeLessThan(256 * 1024);
    stalled.socket.resume();
    await stalled.until(`"${EVENTS - 1} x`, 60_000);
    expect(stalled.body.match(/sse:gap/g)?.length ?? 0).toBe(gaps);
    const received = stalled.body.match(/^data: "/gm)?.length ?? 0;
    expect(received === EVENTS).toBe(gaps === 0);
    for (const one of others) expect(one.body.match(/^data: "/gm)).toHaveLength(EVENTS);
  },
);
