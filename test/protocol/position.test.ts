import { formatPosition, parsePosition } from "everstream/protocol";
import fc from "fast-check";
import { expect, it } from "vitest";

it("a position is <epoch>-<sequence> in base 36", () => {
  expect(formatPosition(36, 35)).toBe("10-z");
  expect(formatPosition(1, 0)).toBe("1-0");
});

it("a position comes back as it was, up to the largest exact integers", () => {
  const largest = Number.MAX_SAFE_INTEGER;
  expect(parsePosition(formatPosition(largest, largest))).toEqual({ epoch: largest, sequence: largest });
  fc.assert(
    fc.property(fc.maxSafeNat(), fc.maxSafeNat(), (below, sequence) => {
      const epoch = Math.max(1, below);
      expect(parsePosition(formatPosition(epoch, sequence))).toEqual({ epoch, sequence });
    }),
  );
});

it("every text but the one spelling is refused", () => {
  for (const text of [
    "",
    "-",
    "1",
    "1-",
    "-1",
    "0-1",
    "01-1",
    "1-01",
    "1-00",
    "+1-1",
    "1-+1",
    "1--1",
    "1-1-1",
    "A-1",
    "1-A",
    " 1-1",
    "1-1 ",
    "1-1\n",
    "1-1.0",
    "1_1",
    "2gosa7pa2gw-1", // 2^53
    "1-2gosa7pa2gw",
    "zzzzzzzzzzz-1",
    "1-100000000000",
    "١-1",
  ]) {
    expect(parsePosition(text), text).toBeUndefined();
  }
});

it("numbers that are no position are refused with INVALID_POSITION", () => {
  for (const [epoch, sequence] of [
    [0, 1],
    [-1, 1],
    [1.5, 1],
    [2 ** 53, 1],
    [Number.NaN, 1],
    [1, -1],
    [1, 0.5],
    [1, 2 ** 53],
  ] as const) {
    expect(() => formatPosition(epoch, sequence)).toThrow(
      expect.objectContaining({ code: "INVALID_POSITION" }),
    );
  }
});
