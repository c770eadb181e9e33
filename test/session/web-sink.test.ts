// The sink that is a response's body, where it goes beyond what the suites over whole servers can see.
import { expect, test, vi } from "vitest";
import { PIECE_BYTES } from "../../src/session/byte-queue.ts";
import { SharedBytes, type Sink, type SinkOwner } from "../../src/session/sink.ts";
import { type Transport, WebSink } from "../../src/session/web-sink.ts";

function open(transport?: Partial<Transport>) {
  const owner = { onSinkDrain: vi.fn(), onSinkClose: vi.fn() } satisfies SinkOwner;
  const whole: Transport | undefined = transport && {
    pending: 0,
    serverClosing: false,
    shortcut: () => undefined,
    ending: vi.fn(),
    destroy: vi.fn(),
    ...transport,
  };
  const sink = new WebSink(owner, whole);
  return { owner, sink, reader: sink.stream.getReader() };
}

const text = ({ value }: ReadableStreamReadResult<Uint8Array>): string => new TextDecoder().decode(value);

test("what gathers while the reader is busy leaves as one chunk", async () => {
  const { sink, reader, owner } = open();
  expect(sink.writeText("ü")).toBe(2);
  sink.writeShared(new SharedBytes(new Uint8Array([97])));
  sink.writeText("b");
  expect([sink.pending, sink.full]).toEqual([4, true]);
  expect(text(await reader.read())).toBe("üab");
  expect([sink.pending, sink.full, owner.onSinkDrain.mock.calls.length]).toEqual([0, false, 1]);
  const waiting = reader.read();
  sink.writeText("at once");
  expect(text(await waiting)).toBe("at once");
});

test("much leaves by pieces, and the end after the last of them", async () => {
  const { sink, reader, owner } = open();
  sink.writeText("x".repeat(2 * PIECE_BYTES + 10));
  sink.end();
  const sizes: number[] = [];
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    sizes.push(part.value.length);
    if (sizes.length < 3) expect(sink.pending).toBeGreaterThan(0);
  }
  expect(sizes).toEqual([PIECE_BYTES, PIECE_BYTES, 10]);
  expect(owner.onSinkClose).toHaveBeenCalledExactlyOnceWith("cancelled");
});

test("what the transport beneath holds is pending too, and its server's closing is told", () => {
  const { sink } = open({ pending: 5, serverClosing: true });
  expect([sink.pending, sink.serverClosing]).toEqual([5, true]);
  sink.writeText("123");
  expect(sink.pending).toBe(8);
  expect([open().sink.pending, open().sink.serverClosing]).toEqual([0, false]);
});

test("a shortcut is asked for while the reader waits, and has all from then on, the end too", async () => {
  const shortcut = { pending: 7, full: true, writeText: vi.fn(() => 3), writeShared: vi.fn(), end: vi.fn() };
  let offered = false;
  const { sink, reader } = open({ shortcut: () => (offered ? (shortcut as unknown as Sink) : undefined) });
  offered = true;
  sink.writeText("too early");
  expect(text(await reader.read())).toBe("too early");
  offered = false;
  const waiting = reader.read();
  await new Promise((resolve) => setImmediate(resolve));
  offered = true;
  expect(sink.writeText("now")).toBe(3);
  const shared = new SharedBytes(new Uint8Array(1));
  sink.writeShared(shared);
  expect([shortcut.writeText.mock.calls, shortcut.writeShared.mock.calls]).toEqual([[["now"]], [[shared]]]);
  expect([sink.pending, sink.full]).toEqual([7, true]);
  sink.end();
  expect(shortcut.end).toHaveBeenCalledTimes(1);
  // The stream ends when the transport says that it is over.
  sink.close("disconnected");
  expect((await waiting).done).toBe(true);
});

test("its owner hears of one end, whoever tells it", async () => {
  const { sink, reader, owner } = open();
  await reader.cancel();
  sink.close("disconnected");
  sink.end();
  sink.destroy();
  sink.writeText("none");
  expect(owner.onSinkClose).toHaveBeenCalledExactlyOnceWith("cancelled");
  expect([sink.pending, sink.full]).toEqual([0, false]);
});
