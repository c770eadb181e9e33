import { streamSSE } from "everstream/hono";
import { Hono } from "hono";

export const app = new Hono();

app.get("/events", async (c) => {
  return streamSSE(c, async (stream) => {
    const abortController = new AbortController();

    // Clean up on client disconnect
    c.req.raw.signal.addEventListener("abort", () => {
      abortController.abort();
    });

    let id = 0;
    while (!abortController.signal.aborted) {
      await stream.writeSSE({
        id: String(id++),
        event: "ping",
        data: JSON.stringify({ timestamp: Date.now() }),
      });
      await stream.sleep(5000);
    }
  });
});
