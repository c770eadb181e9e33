import { openEventStream } from "everstream/client";
import { describe, expect, test, vi } from "vitest";
import { closing, reached, recordData, startServer } from "./server.ts";

const POST = { method: "POST", body: '{"prompt":"hi"}', minDelay: 1, maxDelay: 20 };
const JSON_TYPE = { "content-type": "application/json" };

describe("a POST", () => {
  test("is sent once, with its body; a good end ends the loop", async () => {
    const server = await startServer((exchange) => {
      exchange.open("data: a\n\ndata: [DONE]\n\n");
      exchange.response.end();
    });
    const stream = openEventStream(server.url, { ...POST, headers: JSON_TYPE });
    const seen: string[] = [];
    for await (const { data } of stream) seen.push(data);
    expect(seen).toEqual(["a", "[DONE]"]);
    expect(stream.status).toMatchObject({ state: "closed", reason: "ended" });
    expect(server.exchanges).toHaveLength(1);
    const { request, body } = await server.exchange(0);
    expect(request.method).toBe("POST");
    expect(request.headers["content-type"]).toBe("application/json");
    expect(body).toBe(POST.body);
  });

  test("that breaks before the answer is not repeated", async () => {
    const server = await startServer((exchange) => exchange.cut());
    const stream = openEventStream(server.url, POST);
    await expect(stream[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: "NOT_RESUMABLE",
      cause: { cause: { code: "NETWORK" } },
    });
    expect(server.exchanges).toHaveLength(1);
  });

  test("that breaks after the answer fails, after all that was received", async () => {
    const server = await startServer();
    const stream = openEventStream(server.url, POST);
    const loop = stream[Symbol.asyncIterator]();
    const exchange = await server.exchange(0);
    exchange.open("id: 1\ndata: a\n\n");
    expect((await loop.next()).value).toMatchObject({ data: "a" });
    exchange.cut();
    await expect(loop.next()).rejects.toMatchObject({ code: "NOT_RESUMABLE" });
    expect(server.exchanges).toHaveLength(1);
  });

  test("that the server refuses says how, also where a GET would be tried again", async () => {
    const server = await startServer(({ response }) => response.writeHead(503).end("busy"));
    const loop = openEventStream(server.url, POST)[Symbol.asyncIterator]();
    await expect(loop.next()).rejects.toMatchObject({
      code: "HTTP_STATUS",
      cause: { status: 503, body: "busy" },
    });
    expect(server.exchanges).toHaveLength(1);
  });

  test("is repeated before the answer where `retryPost` allows it, but never after", async () => {
    const server = await startServer((exchange, index) => {
      if (index === 0) exchange.cut();
      else if (index === 1) exchange.response.writeHead(503).end();
      else exchange.open("data: a\n\n");
    });
    const stream = openEventStream(server.url, { ...POST, retryPost: true });
    const loop = stream[Symbol.asyncIterator]();
    expect((await loop.next()).value).toMatchObject({ data: "a" });
    expect(server.exchanges.map(({ body }) => body)).toEqual([POST.body, POST.body, POST.body]);
    server.exchanges[2]?.cut();
    await expect(loop.next()).rejects.toMatchObject({ code: "NOT_RESUMABLE" });
    expect(server.exchanges).toHaveLength(3);
  });

  test("is resumed by GET at `resumeUrl` with the cursor, without its body", async () => {
    const server = await startServer((exchange, index) => {
      exchange.open(`id: ${index}\ndata: ${index}\n\n`);
      if (index < 2) setImmediate(exchange.cut);
    });
    const stream = openEventStream(server.url, {
      ...POST,
      headers: { authorization: "me" },
      resumeUrl: () => Promise.resolve(`${server.url}/resume`),
    });
    expect(await recordData(closing(stream)).count(3)).toEqual(["0", "1", "2"]);
    const seen = server.exchanges.map(({ request, body }) => [
      request.method,
      request.url,
      request.headers["last-event-id"],
      request.headers.authorization,
      body,
    ]);
    expect(seen).toEqual([
      ["POST", "/stream", undefined, "me", POST.body],
      ["GET", "/stream/resume", "0", "me", ""],
      ["GET", "/stream/resume", "1", "me", ""],
    ]);
  });

  test("is resumed at the answer's `Location`, after a checkpoint alone, too", async () => {
    const server = await startServer((exchange, index) => {
      if (index > 0) return exchange.open("id: 1\ndata: a\n\n");
      exchange.response.setHeader("location", "runs/7?x=1");
      exchange.open("event: sse:live\nid: 0\ndata:\n\n");
      return setImmediate(exchange.cut);
    });
    await recordData(closing(openEventStream(server.url, POST))).count(1);
    expect(server.exchanges[1]?.request.url).toBe("/runs/7?x=1");
    expect(server.exchanges[1]?.request.method).toBe("GET");
  });

  test.each([
    ["the answer itself", false],
    ["a redirect to there, which takes the token off", true],
  ])(
    "keeps the caller's headers from another origin that %s names as `Location`",
    async (_, isRedirected) => {
      const other = await startServer((exchange) => {
        exchange.response.setHeader("location", "/steal");
        exchange.open("id: 1\ndata: a\n\n");
      });
      const asked = await startServer((exchange) => {
        if (isRedirected) return exchange.response.writeHead(307, { location: other.url }).end();
        exchange.response.setHeader("location", `${other.url}/steal`);
        return exchange.open("id: 1\ndata: a\n\n");
      });
      const stream = openEventStream(asked.url, { ...POST, headers: { authorization: "secret" } });
      const loop = stream[Symbol.asyncIterator]();
      await loop.next();
      (isRedirected ? other : asked).exchanges[0]?.cut();
      await expect(loop.next()).rejects.toMatchObject({ code: "NOT_RESUMABLE" });
      expect(asked.exchanges).toHaveLength(1);
      expect(other.exchanges.map(({ request }) => [request.method, request.headers.authorization])).toEqual(
        isRedirected ? [["POST", undefined]] : [],
      );
    },
  );

  test("whose answer has a `Location` that is no URL is as one that has none", async () => {
    const report = vi.spyOn(console, "error").mockImplementation(() => undefined);
    const server = await startServer();
    const stream = openEventStream(server.url, POST);
    const loop = stream[Symbol.asyncIterator]();
    const exchange = await server.exchange(0);
    exchange.response.setHeader("location", "http://[");
    exchange.open("id: 1\ndata: a\n\n");
    await loop.next();
    exchange.cut();
    await expect(loop.next()).rejects.toMatchObject({ code: "NOT_RESUMABLE" });
    expect(server.exchanges).toHaveLength(1);
    expect(report).toHaveBeenCalledWith(expect.objectContaining({ code: "ERR_INVALID_URL" }));
    report.mockRestore();
  });

  test("is not resumed without a cursor once events came, since they would come again", async () => {
    const server = await startServer();
    const stream = openEventStream(server.url, { ...POST, resumeUrl: server.url });
    const loop = stream[Symbol.asyncIterator]();
    const exchange = await server.exchange(0);
    exchange.open("data: a\n\n");
    await loop.next();
    exchange.cut();
    await expect(loop.next()).rejects.toMatchObject({ code: "NOT_RESUMABLE" });
    expect(server.exchanges).toHaveLength(1);
  });
});

describe("resume", () => {
  test("`cursor` repeats a GET only after an id", async () => {
    const server = await startServer((exchange) => exchange.cut());
    const without = openEventStream(server.url, { resume: "cursor" });
    await expect(without[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "NOT_RESUMABLE" });
    expect(server.exchanges).toHaveLength(1);
    const given = openEventStream(server.url, { resume: "cursor", initialLastEventId: "3", minDelay: 1 });
    closing(given);
    recordData(given);
    await server.exchange(2);
  });

  test("`never` opens one connection", async () => {
    const server = await startServer((exchange) => {
      exchange.open("id: 1\ndata: a\n\n");
      exchange.response.end();
    });
    const stream = openEventStream(server.url, { resume: "never" });
    const data = recordData(stream);
    await reached(stream, "closed");
    expect(data.all).toEqual(["a"]);
    expect(server.exchanges).toHaveLength(1);
  });
});
