// A client made of a socket and nothing else: it keeps its cursor from the bytes that it took, up to the one at which it is
// cut off, wherever in a chunk or a frame that is.
import { connect } from "node:net";
import { createParser } from "everstream/protocol";
import type { Received } from "./account.ts";

export interface RawRead {
  readonly port: number;
  readonly path: string;
  /** The connection is cut once so many bytes of it have come, the response's head among them. */
  readonly cutAfter: number;
  /** By a reset, which lets the server's kernel drop what is on its way. */
  readonly reset: boolean;
  /** Enough has come. */
  readonly isDone: () => boolean;
}

/** Reads a stream into `received`. Resolves with the response's status when it is over, 0 where there was none. */
export function readRaw(read: RawRead, received: Received): Promise<number> {
  const { port, path, cutAfter, reset, isDone } = read;
  const parser = createParser({ lastEventId: received.cursor, onEvent: (event) => received.take(event) });
  const body = new ChunkedBody((bytes) => parser.push(bytes));
  const socket = connect(port, "127.0.0.1");
  const cursor = received.cursor === "" ? "" : `Last-Event-ID: ${received.cursor}\r\n`;
  socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n${cursor}\r\n`);
  let left = cutAfter;
  socket.on("data", (bytes) => {
    if (left <= 0) return;
    body.take(bytes.subarray(0, left));
    left -= bytes.length;
    if (left > 0 && !body.ended && !isDone()) return;
    left = 0;
    if (reset) socket.resetAndDestroy();
    else socket.destroy();
  });
  // `close` follows and tells.
  socket.on("error", () => undefined);
  return new Promise((resolve) => socket.on("close", () => resolve(body.status)));
}

const END_OF_HEAD = "\r\n\r\n";

/** Takes the body out of a response with chunks (RFC 9112, 7.1), however it was cut into pieces. */
class ChunkedBody {
  status = 0;
  ended = false;
  readonly #onBytes: (bytes: Uint8Array) => void;
  #head = "";
  #inBody = false;
  /** The line that tells how long the next chunk is, as far as it has come. */
  #line = "";
  /** How much of a chunk, and of the line end behind it, is to come. */
  #left = 0;

  constructor(onBytes: (bytes: Uint8Array) => void) {
    this.#onBytes = onBytes;
  }

  take(bytes: Buffer): void {
    let rest = this.#inBody ? bytes : this.#takeHead(bytes);
    while (rest.length > 0 && !this.ended)
      rest = this.#left > 0 ? this.#takeChunk(rest) : this.#takeSize(rest);
  }

  #takeHead(bytes: Buffer): Buffer {
    const before = this.#head.length;
    this.#head += bytes.toString("latin1");
    const end = this.#head.indexOf(END_OF_HEAD);
    if (end === -1) return bytes.subarray(bytes.length);
    this.#inBody = true;
    this.status = Number(this.#head.split(" ")[1]);
    // What is no stream sends the client away.
    this.ended = !/transfer-encoding: chunked/i.test(this.#head);
    return bytes.subarray(end + END_OF_HEAD.length - before);
  }

  #takeChunk(bytes: Buffer): Buffer {
    const length = Math.min(bytes.length, this.#left);
    const data = Math.min(length, this.#left - 2);
    if (data > 0) this.#onBytes(bytes.subarray(0, data));
    this.#left -= length;
    return bytes.subarray(length);
  }

  #takeSize(bytes: Buffer): Buffer {
    const end = bytes.indexOf("\n");
    if (end === -1) {
      this.#line += bytes.toString("latin1");
      return bytes.subarray(bytes.length);
    }
    const size = Number.parseInt(this.#line + bytes.toString("latin1", 0, end), 16);
    this.#line = "";
    this.ended = size === 0;
    this.#left = size + 2;
    return bytes.subarray(end + 1);
  }
}
