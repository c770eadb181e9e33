/**
 * How many bytes a transport is handed at a time while it still holds some. What it holds is written as a whole or not
 * at all, as far as anyone can see; by pieces, a slow client is seen to take them.
 */
export const PIECE_BYTES = 256 * 1024;

/** Bytes that wait, in order. */
export class ByteQueue {
  #parts: Uint8Array[] = [];
  /** The first part that still waits. */
  #first = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(bytes: Uint8Array): void {
    this.#parts.push(bytes);
    this.#length += bytes.length;
  }

  /** Takes the next piece, of {@link PIECE_BYTES} at the most. There must be one. */
  take(): Uint8Array {
    const parts = this.#parts;
    const start = this.#first;
    const head = parts[start] as Uint8Array;
    let size = head.length;
    let end = start + 1;
    if (size > PIECE_BYTES) {
      parts[start] = head.subarray(PIECE_BYTES);
      this.#length -= PIECE_BYTES;
      return head.subarray(0, PIECE_BYTES);
    }
    for (; end < parts.length; end++) {
      const next = (parts[end] as Uint8Array).length;
      if (size + next > PIECE_BYTES) break;
      size += next;
    }
    this.#length -= size;
    const piece = end === start + 1 ? head : join(parts, start, end, size);
    if (end === parts.length) this.clear();
    else this.#first = end;
    return piece;
  }

  clear(): void {
    this.#parts = [];
    this.#first = 0;
    this.#length = 0;
  }
}

function join(parts: readonly Uint8Array[], start: number, end: number, length: number): Uint8Array {
  const joined = new Uint8Array(length);
  let offset = 0;
  for (let index = start; index < end; index++) {
    const part = parts[index] as Uint8Array;
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}
