import fc from "fast-check";
import { expect, test } from "vitest";
import { ByteQueue, PIECE_BYTES } from "../../src/session/byte-queue.ts";

test("what goes in comes out, in order, in pieces that are bounded and no smaller than need be", () => {
  const size = fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 3 * PIECE_BYTES }));
  // Each step puts bytes in, or takes a piece out.
  const steps = fc.array(fc.oneof(size, fc.constant("take" as const)), { maxLength: 20 });
  const property = fc.property(steps, (run) => {
    const queue = new ByteQueue();
    let [put, taken] = [0, 0];
    const take = (): void => {
      const waiting = queue.length;
      const piece = queue.take();
      expect(piece.length).toBeLessThanOrEqual(PIECE_BYTES);
      expect(piece.length).toBeGreaterThan(0);
      expect(queue.length).toBe(waiting - piece.length);
      for (const byte of piece) if (byte !== taken++ % 251) throw new Error(`byte ${taken - 1} is wrong`);
    };
    for (const step of run) {
      if (step !== "take") queue.push(Uint8Array.from({ length: step }, () => put++ % 251));
      else if (queue.length > 0) take();
      expect(queue.length).toBe(put - taken);
    }
    while (queue.length > 0) take();
    expect(taken).toBe(put);
  });
  fc.assert(property, { numRuns: 50 });
});

test("small parts are joined up to a piece, large ones are cut", () => {
  const queue = new ByteQueue();
  for (let count = 0; count < 400; count++) queue.push(new Uint8Array(1000));
  queue.push(new Uint8Array(PIECE_BYTES + 1));
  const sizes: number[] = [];
  while (queue.length > 0) sizes.push(queue.take().length);
  expect(sizes).toEqual([262_000, 138_000, PIECE_BYTES, 1]);
});

test("clear forgets all", () => {
  const queue = new ByteQueue();
  queue.push(new Uint8Array(10));
  queue.clear();
  expect(queue.length).toBe(0);
  queue.push(new Uint8Array([7]));
  expect([...queue.take()]).toEqual([7]);
});
