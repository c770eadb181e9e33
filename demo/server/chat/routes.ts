import { streamSSE } from "everstream/hono";
import { textOf } from "everstream/llm";
import type { Hono } from "hono";
import { type DemoEnv, problem } from "../http.ts";
import type { ChatModel } from "./model.ts";
import { explain } from "./provider-error.ts";

/** In characters. */
export const MAX_MESSAGE = 4000;

/** `GET /chat/stream?message=`: the answer as `token` events, then `done`, or `error`. */
export function addChat(api: Hono<DemoEnv>, { model }: { model: ChatModel }): void {
  api.get("/chat/stream", (c) => {
    const message = c.req.query("message")?.trim();
    if (!message) throw problem(400, "message required");
    if (message.length > MAX_MESSAGE) throw problem(400, `message is longer than ${MAX_MESSAGE} characters`);

    return streamSSE(c, async (stream) => {
      const { signal } = stream;
      try {
        // Twice the signal: the model ends its request with it, and the loop ends even where a model does not.
        const answer = await model.stream(message, { signal });
        for await (const content of textOf(answer, signal)) await stream.send("token", { content });
        await stream.send("done");
      } catch (error) {
        if (signal.aborted) return;
        console.error("the model failed:", error);
        await stream.send("error", explain(error));
      }
    });
  });
}
