/** Keys that are two whole numbers from 0. They lie in the order of the first, then of the second. */
export type Pair = [number, number];

/** Above every number in a key. */
export const LAST = Number.MAX_SAFE_INTEGER;

// A safe integer has 53 bits: written as four bytes and three, since bitwise operators and most of Buffer's end at 32.
const LOW = 2 ** 24;
const HALF_BYTES = 7;

/** How lmdb is to write pairs: fourteen bytes, big-endian. */
export const pairKeys = {
  writeKey([first, second]: Pair, target: Buffer, at: number): number {
    return writeNumber(second, target, writeNumber(first, target, at));
  },
  readKey(source: Buffer, at: number): Pair {
    return [readNumber(source, at), readNumber(source, at + HALF_BYTES)];
  },
};

function writeNumber(value: number, target: Buffer, at: number): number {
  target.writeUInt32BE(Math.floor(value / LOW), at);
  return target.writeUIntBE(value % LOW, at + 4, 3);
}

function readNumber(source: Buffer, at: number): number {
  return source.readUInt32BE(at) * LOW + source.readUIntBE(at + 4, 3);
}
