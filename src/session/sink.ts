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
 * Encoded bytes that are written to many connections. The form with HTTP/1.1 chunk framing around it (RFC 9112, 7.1)
 * is made once, by the first connection that writes to its socket itself.
 */
export class SharedBytes {
  readonly bytes: Uint8Array;
  #chunked: Uint8Array | undefined;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  get chunked(): Uint8Array {
    this.#chunked ??= frameChunk(this.bytes);
    return this.#chunked;
  }
}

function frameChunk(bytes: Uint8Array): Uint8Array {
  const size = bytes.length.toString(16);
  const start = size.length + CRLF_LENGTH;
  const framed = allocate(start + bytes.length + CRLF_LENGTH);
  for (let index = 0; index < size.length; index++) framed[index] = size.charCodeAt(index);
  framed[start - 2] = 0x0d;
  framed[start - 1] = 0x0a;
  framed.set(bytes, start);
  framed[framed.length - 2] = 0x0d;
  framed[framed.length - 1] = 0x0a;
  return framed;
}

/** Node wraps anything but its own `Buffer` anew at each write. */
function allocate(length: number): Uint8Array {
  return typeof Buffer === "undefined" ? new Uint8Array(length) : Buffer.allocUnsafe(length);
}
