import { streamSSE } from "everstream/hono";
import type { Hono } from "hono";
import type { DemoEnv } from "./http.ts";

/** `GET /events`, the time each second, and `GET /ping`. Both loops end when their client leaves: `sleep` rejects then. */
export function addClock(api: Hono<DemoEnv>, { clockMs, pingMs }: { clockMs: number; pingMs: number }): void {
  api.get("/events", (c) =>
    streamSSE(c, async (stream) => {
      let id = firstId(stream.lastEventId);
      while (true) {
        await stream.writeSSE({
          id: String(id++),
          event: "message",
          data: JSON.stringify({ time: Date.now() }),
        });
        await stream.sleep(clockMs);
      }
    }),
  );

  api.get("/ping", (c) =>
    streamSSE(c, async (stream) => {
      while (true) {
        await stream.send("ping", { timestamp: Date.now() });
        await stream.sleep(pingMs);
      }
    }),
  );
}

/**
 * A client that returns goes on counting where it stopped, so that ids rise for as long as it lives and none comes
 * twice. Seconds that went by meanwhile are not made up for: a clock's past is worth nothing, and these events are made
 * for one connection, not kept in a log.
 */
function firstId(lastEventId: string | undefined): number {
  const last = /^\d{1,15}$/.test(lastEventId ?? "") ? Number(lastEventId) : -1;
  return last + 1;
}
