import { ChatOpenAI } from "@langchain/openai";
import { streamSSE } from "everstream/hono";
import { Hono } from "hono";

export const app = new Hono();

app.get("/chat/stream", async (c) => {
  const message = c.req.query("message");
  if (!message) return c.json({ error: "message required" }, 400);

  const model = new ChatOpenAI({
    model: "gpt-4-turbo",
    streaming: true,
  });

  return streamSSE(c, async (stream) => {
    try {
      const response = await model.stream(message);

      for await (const chunk of response) {
        if (chunk.content) {
          await stream.writeSSE({
            event: "token",
            data: JSON.stringify({ content: chunk.content }),
          });
        }
      }

      await stream.writeSSE({
        event: "done",
        data: "",
      });
    } catch (error) {
      await stream.writeSSE({
        event: "error",
        data: JSON.stringify({
          message: error instanceof Error ? error.message : "Unknown error",
        }),
      });
    }
  });
});
