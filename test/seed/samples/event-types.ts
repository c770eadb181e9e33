// biome-ignore-all lint/nursery/noMisusedPromises: as users have it
// biome-ignore-all lint/suspicious/noEmptyBlockStatements: as users have it
import { streamSSE } from "everstream/hono";
import { Hono } from "hono";
import { eventBus } from "./event-bus.ts";

export const app = new Hono<{ Variables: { userId: string } }>();

app.use(async (c, next) => {
  c.set("userId", c.req.header("X-User") ?? "nobody");
  await next();
});

app.get("/notifications", async (c) => {
  const userId = c.get("userId");

  return streamSSE(c, async (stream) => {
    // Subscribe to different event sources
    const unsubscribe = eventBus.subscribe(userId, async (event) => {
      await stream.writeSSE({
        event: event.type, // "message", "notification", "alert"
        data: JSON.stringify(event.payload),
      });
    });

    // Keep connection alive with heartbeat
    const heartbeat = setInterval(async () => {
      await stream.writeSSE({
        event: "heartbeat",
        data: "",
      });
    }, 30000);

    // Cleanup
    c.req.raw.signal.addEventListener("abort", () => {
      clearInterval(heartbeat);
      unsubscribe();
    });

    // Keep stream open
    await new Promise(() => {});
  });
});
