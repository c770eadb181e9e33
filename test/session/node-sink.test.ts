// What a Node response is handed, and when.
import type { ServerResponse } from "node:http";
import { rawRequest, serveForTest, type TestServer } from "everstream/testing";
import { afterEach, expect, test, vi } from "vitest";
import { NodeSink } from "../../src/session/node-sink.ts";
import { SharedBytes, type SinkOwner } from "../../src/session/sink.ts";
import { deferred } from "./deferred.ts";
import { eventually } from "./eventually.ts";

const servers: TestServer[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
});

/** Serves one response whose headers are sent, and opens it. */
async function open(prepare: (response: ServerResponse) => void = () => undefined) {
  const begun = deferred<ServerResponse>();
  const server = await serveForTest((_req, res) => {
    res.flushHeaders();
    prepare(res);
    begun.resolve(res);
  });
  servers.push(server);
  const raw = await rawRequest(server);
  const response = await begun.promise;
  const owner = { onSinkDrain: vi.fn(), onSinkClose: vi.fn() } satisfies SinkOwner;
  return { raw, response, owner, sink: new NodeSink(owner, response) };
}

const bytes = (text: string): SharedBytes => new SharedBytes(new TextEncoder().encode(text));

test("text and shared bytes each are one chunk, and one write to the socket", async () => {
  const { raw, response, sink } = await open();
  const write = vi.spyOn(response.socket as NonNullable<typeof response.socket>, "write");
  expect(sink.writeText("ünï")).toBe(5);
  sink.writeShared(bytes("shared"));
  expect(write).toHaveBeenCalledTimes(2);
  sink.end();
  expect(await raw.ended).toBe("complete");
  expect(raw.chunks).toEqual(["ünï", "shared"]);
});

test("bytes shared by several connections are framed once", async () => {
  const shared = new SharedBytes([new TextEncoder().encode("one "), new TextEncoder().encode("two")]);
  const { chunked } = shared;
  expect(Buffer.from(chunked).toString()).toBe("7\r\none two\r\n");
  const opened = await Promise.all([open(), open()]);
  for (const { sink } of opened) {
    sink.writeShared(shared);
    sink.end();
  }
  for (const { raw } of opened) {
    await raw.ended;
    expect(raw.chunks).toEqual(["one two"]);
  }
  expect(shared.chunked).toBe(chunked);
});

test.each([
  [
    "holds bytes of its own",
    (response: ServerResponse) => {
      response.cork();
      response.write("before ");
      setImmediate(() => response.uncork());
    },
  ],
  [
    "has a write of somebody's",
    (response: ServerResponse) => {
      response.write = response.write.bind(response);
    },
  ],
])("a response that %s is written to by its own method, in order", async (_name, prepare) => {
  const { raw, sink } = await open(prepare);
  sink.writeText("first ");
  sink.writeShared(bytes("second"));
  sink.end();
  expect(await raw.ended).toBe("complete");
  expect(raw.body.replace("before ", "")).toBe("first second");
  expect(raw.body.indexOf("first")).toBeGreaterThanOrEqual(raw.body.indexOf("before"));
});

test("a client that does not read leaves the rest here, and gets it when it reads, before the end", async () => {
  const { raw, response, sink, owner } = await open();
  raw.pause();
  const text = "x".repeat(100_000);
  let written = 0;
  for (let count = 0; count < 300; count++) written += sink.writeText(text);
  sink.writeShared(bytes("the last"));
  sink.end();
  // The socket has only what it was handed while it was not busy.
  expect(response.socket?.writableLength).toBeLessThan(1024 * 1024);
  expect(sink.pending).toBeGreaterThan(10 * 1024 * 1024);
  expect(sink.full).toBe(true);
  expect(response.writableEnded).toBe(false);
  raw.resume();
  expect(await raw.ended).toBe("complete");
  expect(raw.received).toBe(written + "the last".length);
  expect(raw.body.endsWith("xthe last")).toBe(true);
  await eventually(() => expect(owner.onSinkClose).toHaveBeenCalledExactlyOnceWith("disconnected"));
});

test("the owner is told when there is room again, also where a little is left", async () => {
  const { raw, sink, owner } = await open();
  raw.pause();
  let written = 0;
  while (!sink.full || sink.pending < 1024 * 1024) written += sink.writeText("x".repeat(300_001));
  expect(owner.onSinkDrain).not.toHaveBeenCalled();
  raw.resume();
  await eventually(() => expect(owner.onSinkDrain).toHaveBeenCalled());
  expect(sink.full).toBe(false);
  await raw.until(({ received }) => received === written);
});

test("a response that somebody ends while a chunk is half written takes its connection along", async () => {
  const { raw, response, sink, owner } = await open();
  raw.pause();
  sink.writeText("x".repeat(20_000_000));
  expect(sink.full).toBe(true);
  response.end();
  raw.resume();
  expect(await raw.ended).toBe("cut");
  await eventually(() => expect(owner.onSinkClose).toHaveBeenCalledTimes(1));
});

test("destroy() cuts off, and tells its owner once", async () => {
  const { raw, sink, owner } = await open();
  sink.writeText("some");
  sink.destroy();
  sink.destroy();
  sink.writeText("none");
  sink.writeShared(bytes("none"));
  sink.end();
  expect(await raw.ended).toBe("cut");
  expect(owner.onSinkClose).toHaveBeenCalledTimes(1);
});
