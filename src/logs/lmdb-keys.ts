/** The option of `openDB` that says how keys are written. */
interface Keys<Key> {
  readonly keyEncoder: {
    /** Returns where it ended. */
    writeKey(key: Key, target: Buffer, at: number): number;
    readKey(source: Buffer, at: number, end: number): Key;
  };
}

/** Keys that are two whole numbers from 0. They lie in the order of the first, then of the second. */
export type Pair = [number, number];

/** Above every number in a key. */
export const LAST = Number.MAX_SAFE_INTEGER;

// A safe integer has 53 bits: written as four bytes and three, big-endian.
const LOW = 2 ** 24;
const NUMBER_BYTES = 7;

/** Keys of a table that are pairs. `table` is a byte that no other table in the file has. */
export function pairKeys(table: number): Keys<Pair> {
  return {
    keyEncoder: {
      writeKey([first, second], target, at) {
        target[at] = table;
        return writeNumber(second, target, writeNumber(first, target, at + 1));
      },
      readKey: (source, at) => [readNumber(source, at + 1), readNumber(source, at + 1 + NUMBER_BYTES)],
    },
  };
}

/** Keys of a table that are short texts. */
export function textKeys(table: number): Keys<string> {
  return {
    keyEncoder: {
      writeKey(text, target, at) {
        target[at] = table;
        return at + 1 + target.write(text, at + 1);
      },
      readKey: (source, at, end) => source.toString("utf8", at + 1, end),
    },
  };
}

function writeNumber(value: number, target: Buffer, at: number): number {
  target.writeUInt32BE(Math.floor(value / LOW), at);
  return target.writeUIntBE(value % LOW, at + 4, 3);
}

function readNumber(source: Buffer, at: number): number {
  return source.readUInt32BE(at) * LOW + source.readUIntBE(at + 4, 3);
}
