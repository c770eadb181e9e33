import { type ServerType, serve } from "@hono/node-server";
import type { UIMessage } from "ai";
import { createHub, createRuns, type Hub, type Run, type Runs } from "everstream";
import { runUIMessages } from "everstream/llm";
import { Hono } from "hono";
import { onTestFinished } from "vitest";

export interface ChatServer {
  readonly url: string;
  readonly hub: Hub;
  readonly runs: Runs;
  /** The statuses of the answers to who wanted to resume. */
  readonly resumed: readonly number[];
}

/** A page with a chat, whose answers are runs. It ends with the test. */
export async function startChat(script: string, produce: (run: Run) => unknown): Promise<ChatServer> {
  const hub = createHub();
  const runs = createRuns({ hub, onError: () => undefined });
  const resumed: number[] = [];
  let history: UIMessage[] = [];
  const app = new Hono();
  app.get("/", (c) =>
    c.html('<!doctype html><div id="root"></div><script type="module" src="/page.js"></script>'),
  );
  app.get("/page.js", (c) => c.body(script, 200, { "content-type": "text/javascript" }));
  app.get("/favicon.ico", (c) => c.body(null, 204));
  app.get("/api/chat/:id/messages", (c) => c.json(history));
  app.post("/api/chat", async (c) => {
    const { id, messages } = (await c.req.json()) as { id: string; messages: UIMessage[] };
    history = messages;
    const run = await runs.start({ key: id, produce });
    return runUIMessages(runs, run.id, c.req.raw);
  });
  app.get("/api/chat/:id/stream", async (c) => {
    const response = await runUIMessages(runs, { key: c.req.param("id") }, c.req.raw);
    resumed.push(response.status);
    return response;
  });
  app.delete("/api/chat/:id", async (c) => {
    const run = await runs.holder(c.req.param("id"));
    if (run !== undefined) await runs.stop(run);
    return c.body(null, 204);
  });
  const { server, port } = await new Promise<{ server: ServerType; port: number }>((resolve) => {
    const made = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, (info) =>
      resolve({ server: made, port: info.port }),
    );
  });
  onTestFinished(async () => {
    await runs.close();
    await hub.close();
    if ("closeAllConnections" in server) server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${port}/`, hub, runs, resumed };
}
