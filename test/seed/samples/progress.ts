import { streamSSE } from "everstream/hono";
import { Hono } from "hono";

export const app = new Hono();

app.post("/upload/process", async (c) => {
  const { fileId } = await c.req.json();

  return streamSSE(c, async (stream) => {
    const steps = ["Validating", "Processing", "Optimizing", "Complete"];

    for (let i = 0; i < steps.length; i++) {
      await stream.writeSSE({
        event: "progress",
        data: JSON.stringify({
          step: steps[i],
          progress: ((i + 1) / steps.length) * 100,
        }),
      });

      // Simulate work
      await stream.sleep(1000);
    }

    await stream.writeSSE({
      event: "done",
      data: JSON.stringify({ fileId, status: "complete" }),
    });
  });
});
