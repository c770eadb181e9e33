import { streamSSE } from "everstream/hono";
import { Hono } from "hono";

export const app = new Hono();

app.get("/events", async (c) => {
  return streamSSE(c, async (stream) => {
    let id = 0;

    while (true) {
      await stream.writeSSE({
        id: String(id++),
        event: "message",
        data: JSON.stringify({ time: Date.now() }),
      });

      await stream.sleep(1000);
    }
  });
});
