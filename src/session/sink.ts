import type { CloseReason } from "./close-reason.ts";

/**
 * Where a session's bytes go: a web stream or a Node response. A sink moves bytes and reports; it decides nothing.
 * No method throws: a transport that fails says so through {@link SinkOwner.onSinkClose}.
 */
export interface Sink {
  /** Bytes handed over that the transport has not taken yet. */
  readonly pending: number;
  /** The transport wants no more for now; {@link SinkOwner.onSinkDrain} follows when it does again. */
  readonly full: boolean;
  /** The server behind the transport accepts no new connections: it is shutting down. */
  readonly serverClosing: boolean;
  /** Hands over text of one session. Returns its length in bytes. */
  writeText(text: string): number;
  /** Hands over bytes that other sessions may share. */
  writeShared(bytes: SharedBytes): void;
  /** Ends in good order, after what was written. */
  end(): void;
  /** Cuts the transport off; unsent bytes are lost. */
  destroy(): void;
}

/** Who is told what the transport does. A session, as an object and not as closures: there are many of them. */
export interface SinkOwner {
  /** The transport took everything that was pending. */
  onSinkDrain(): void;
  /** The transport is gone. Called once, also after `end()`, where the reason means nothing any more. */
  onSinkClose(reason: SinkCloseReason): void;
}

/** What a transport can know of its own end. */
export type SinkCloseReason = Extract<CloseReason, "disconnected" | "cancelled" | "write-failed">;

const CRLF_LENGTH = 2;

/**
 * Encoded bytes that are written to many connections. Parts are joined once, and only into the form that is wanted: as
 * they are, or with HTTP/1.1's chunk framing around them (RFC 9112, 7.1) for connections that write to their socket
 * themselves.
 */
export class SharedBytes {
  readonly length: number;
  readonly #parts: readonly Uint8Array[];
  #bytes: Uint8Array | undefined;
  #chunked: Uint8Array | undefined;

  constructor(bytes: Uint8Array | readonly Uint8Array[]) {
    this.#parts = bytes instanceof Uint8Array ? [bytes] : bytes;
    let length = 0;
    for (const part of this.#parts) length += part.length;
    this.length = length;
  }

  get bytes(): Uint8Array {
    if (this.#bytes === undefined) {
      const [first] = this.#parts;
      this.#bytes =
        this.#parts.length === 1 ? (first as Uint8Array) : fill(allocate(this.length), this.#parts, 0);
    }
    return this.#bytes;
  }

  get chunked(): Uint8Array {
    this.#chunked ??= frameChunk(this.#parts, this.length);
    return this.#chunked;
  }
}

function frameChunk(parts: readonly Uint8Array[], length: number): Uint8Array {
  const size = length.toString(16);
  const start = size.length + CRLF_LENGTH;
  const framed = allocate(start + length + CRLF_LENGTH);
  for (let index = 0; index < size.length; index++) framed[index] = size.charCodeAt(index);
  framed[start - 2] = 0x0d;
  framed[start - 1] = 0x0a;
  fill(framed, parts, start);
  framed[framed.length - 2] = 0x0d;
  framed[framed.length - 1] = 0x0a;
  return framed;
}

function fill(target: Uint8Array, parts: readonly Uint8Array[], start: number): Uint8Array {
  let offset = start;
  for (const part of parts) {
    target.set(part, offset);
    offset += part.length;
  }
  return target;
}

/** Node wraps anything but its own `Buffer` anew at each write. */
function allocate(length: number): Uint8Array {
  return typeof Buffer === "undefined" ? new Uint8Array(length) : Buffer.allocUnsafe(length);
}
