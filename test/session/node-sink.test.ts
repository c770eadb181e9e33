// What a Node response is handed, and when.
import { type IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
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

test("a response that holds bytes of its own is written to by its own method, in order", async () => {
  const { raw, response, sink } = await open((prepared) => {
    prepared.cork();
    prepared.write("before ");
  });
  sink.writeText("first ");
  sink.writeShared(bytes("second"));
  response.uncork();
  sink.end();
  expect(await raw.ended).toBe("complete");
  expect(raw.body).toBe("before first second");
});

test("a response with a write of somebody's is written to by that", async () => {
  const seen: string[] = [];
  const { raw, sink } = await open((prepared) => {
    const write = prepared.write.bind(prepared) as (chunk: Uint8Array) => boolean;
    prepared.write = (chunk: Uint8Array) => {
      seen.push(Buffer.from(chunk).toString());
      return write(chunk);
    };
  });
  sink.writeText("first ");
  sink.writeShared(bytes("second"));
  sink.end();
  expect(await raw.ended).toBe("complete");
  expect(seen).toEqual(["first ", "second"]);
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

/** A socket that takes what it is told to. */
class HeldSocket extends Duplex {
  readonly taken: string[] = [];
  #waiting: (() => void) | undefined;

  override _write(chunk: Uint8Array, _encoding: string, done: () => void): void {
    this.taken.push(Buffer.from(chunk).toString());
    this.#waiting = done;
  }

  override _read(): void {
    // The client says nothing.
  }

  /** Takes what was written last, and lets the rest of the turn pass. */
  async accept(): Promise<void> {
    this.#waiting?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** A sink over a socket that takes what it is told to; the headers are through. */
async function openHeld() {
  const response = new ServerResponse({
    method: "GET",
    httpVersionMajor: 1,
    httpVersionMinor: 1,
  } as IncomingMessage);
  const socket = new HeldSocket();
  response.assignSocket(socket as unknown as Socket);
  response.flushHeaders();
  await socket.accept();
  const owner = { onSinkDrain: vi.fn(), onSinkClose: vi.fn() } satisfies SinkOwner;
  return { response, socket, owner, sink: new NodeSink(owner, response) };
}

test("the owner is told when there is room again, also while a little is left", async () => {
  const { socket, owner, sink } = await openHeld();
  sink.writeText("x".repeat(20_000));
  sink.writeText("a little");
  expect([sink.full, owner.onSinkDrain.mock.calls.length]).toEqual([true, 0]);
  await socket.accept();
  // The socket has the rest now, so little that it will never say that it has drained.
  expect(sink.pending).toBeGreaterThan(0);
  expect([sink.full, owner.onSinkDrain.mock.calls.length]).toEqual([false, 1]);
  await socket.accept();
  expect(socket.taken.at(-1)).toBe("8\r\na little\r\n");
  expect(sink.pending).toBe(0);
});

test("room is listened for by who was held up alone, once, and no longer than the response lives", async () => {
  const { response, socket, owner, sink } = await openHeld();
  // Node's own is there, or is not.
  const before = socket.listenerCount("drain");
  sink.writeText("a little");
  expect(sink.full).toBe(false);
  await socket.accept();
  expect(socket.listenerCount("drain")).toBe(before);
  for (let round = 1; round <= 2; round++) {
    sink.writeText("x".repeat(20_000));
    expect(sink.full).toBe(true);
    expect(socket.listenerCount("drain")).toBe(before + 1);
    await socket.accept();
    expect(owner.onSinkDrain).toHaveBeenCalledTimes(round);
  }
  response.emit("close");
  expect(owner.onSinkClose).toHaveBeenCalledExactlyOnceWith("disconnected");
  expect(socket.listenerCount("drain")).toBe(before);
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
