// Streams of other people's servers: bytes written after the providers' documents, and other libraries run live.
import { serve } from "@hono/node-server";
import { createSession } from "better-sse";
import { type EventStreamOptions, openEventStream } from "everstream/client";
import { serveForTest } from "everstream/testing";
import { Hono } from "hono";
import { streamSSE } from "hono/streaming";
import { describe, expect, onTestFinished, test } from "vitest";
import { everyCut } from "../protocol/harness.ts";

type Seen = [type: string, data: string, lastEventId: string];

const chunk = (delta: object, finish: string | null): string =>
  JSON.stringify({
    id: "chatcmpl-1",
    object: "chat.completion.chunk",
    choices: [{ index: 0, delta, finish_reason: finish }],
  });
const first = chunk({ role: "assistant", content: "你好" }, null);
const last = chunk({}, "stop");
const delta = JSON.stringify({ type: "response.output_text.delta", output_index: 0, delta: "é" });
const completed = JSON.stringify({
  type: "response.completed",
  response: { id: "resp_1", status: "completed" },
});
const start = JSON.stringify({
  type: "content_block_delta",
  index: 0,
  delta: { type: "text_delta", text: "🙂" },
});

/** What each sends, and what a client should see of it. */
const formats: [name: string, text: string, seen: Seen[]][] = [
  [
    "OpenAI chat completions",
    `data: ${first}\n\ndata: ${last}\n\ndata: [DONE]\n\n`,
    [
      ["message", first, ""],
      ["message", last, ""],
      ["message", "[DONE]", ""],
    ],
  ],
  [
    "OpenAI responses",
    `event: response.output_text.delta\ndata: ${delta}\n\nevent: response.completed\ndata: ${completed}\n\n`,
    [
      ["response.output_text.delta", delta, ""],
      ["response.completed", completed, ""],
    ],
  ],
  [
    "Anthropic messages",
    `event: ping\ndata: {"type": "ping"}\n\nevent: content_block_delta\ndata: ${start}\n\nevent: message_stop\ndata: {"type":"message_stop"}\n\n`,
    [
      ["ping", '{"type": "ping"}', ""],
      ["content_block_delta", start, ""],
      ["message_stop", '{"type":"message_stop"}', ""],
    ],
  ],
  [
    "Mercure",
    ':\nid: urn:uuid:7f2a\nevent: status\nretry: 5000\ndata: {\ndata:   "ok": true\ndata: }\n\n:\n',
    [["status", '{\n  "ok": true\n}', "urn:uuid:7f2a"]],
  ],
  [
    "Spring, without spaces after its colons",
    "id:7\nevent:tick\nretry:3000\n:a comment\ndata:one\ndata: two\n\ndata:\n\n",
    [
      ["tick", "one\ntwo", "7"],
      ["message", "", "7"],
    ],
  ],
];

async function read(url: string, options: EventStreamOptions): Promise<Seen[]> {
  const seen: Seen[] = [];
  for await (const { type, data, lastEventId } of openEventStream(url, { resume: "never", ...options }))
    seen.push([type, data, lastEventId]);
  return seen;
}

describe("by their documents, however the bytes are cut", () => {
  test.each(formats)("%s", async (_, text, seen) => {
    for (const [name, chunks] of everyCut(new TextEncoder().encode(text))) {
      const body = new ReadableStream({
        start(controller) {
          for (const part of chunks) if (part.length > 0) controller.enqueue(part);
          controller.close();
        },
      });
      const response = new Response(body, {
        headers: { "content-type": "text/event-stream; charset=utf-8" },
      });
      expect(await read("/", { method: "POST", fetch: () => Promise.resolve(response) }), name).toEqual(seen);
    }
  });
});

describe("run live", () => {
  test("hono/streaming", async () => {
    const app = new Hono().get("/", (c) =>
      streamSSE(c, async (stream) => {
        await stream.writeSSE({ data: "a\nb", event: "x", id: "1" });
        await stream.writeSSE({ data: "é" });
      }),
    );
    const server = await new Promise<{ port: number; close(): void }>((resolve) => {
      const listening = serve({ fetch: app.fetch, port: 0, hostname: "127.0.0.1" }, ({ port }) =>
        resolve({ port, close: () => listening.close() }),
      );
    });
    onTestFinished(() => server.close());
    const seen = await read(`http://127.0.0.1:${server.port}/`, {});
    expect(seen).toEqual([
      ["x", "a\nb", "1"],
      ["message", "é", "1"],
    ]);
  });

  test("better-sse", async () => {
    const server = await serveForTest(async (request, response) => {
      const session = await createSession(request, response, { serializer: String });
      session.push("a", "x", "1").push("é", "y", "2");
      response.end();
    });
    onTestFinished(() => server.close());
    expect(await read(server.url, {})).toEqual([
      ["x", "a", "1"],
      ["y", "é", "2"],
    ]);
  });

  test("node:http, a write for each line", async () => {
    const server = await serveForTest((_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      for (const line of ["retry: 10\r\n", "\r\n", "id: 1\r\n", "data: é\r\n", "\r\n"]) response.write(line);
      response.end();
    });
    onTestFinished(() => server.close());
    expect(await read(server.url, {})).toEqual([["message", "é", "1"]]);
  });
});
