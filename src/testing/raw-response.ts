import type { Socket } from "node:net";
import { Recording } from "./recording.ts";

const CRLF = "\r\n";
const END_OF_HEAD = `${CRLF}${CRLF}`;

/** How the bytes of a body are told from what follows them (RFC 9112, 6.3). */
type Framing = "chunked" | "length" | "close";

/** Where in a chunked body the next byte belongs (RFC 9112, 7.1). */
type ChunkPart = "size" | "end" | "trailer";

/** One HTTP/1 response as it arrived: all that was received so far, and what the client can do to the connection. */
export class RawResponse extends Recording {
  /** The connection that it arrives on. */
  readonly socket: Socket;
  /** The status line and the headers as they stood on the wire. */
  head = "";
  status = 0;
  /** The payload of each HTTP chunk so far. */
  readonly chunks: string[] = [];
  /** The head is complete. */
  begun = false;

  readonly #method: string;
  #framing: Framing = "close";
  /** Bytes of the body, or of the current chunk, that are still to come. */
  #left = 0;
  #part: ChunkPart = "size";
  /** A line of the framing that is not complete yet. */
  #line = "";
  #chunk = "";

  /** @internal */
  constructor(socket: Socket, method: string) {
    super();
    this.socket = socket;
    this.#method = method;
  }

  /** Reads no more: a client that has stalled. The kernel still takes some megabytes in its place. */
  pause(): void {
    this.socket.pause();
  }

  resume(): void {
    this.socket.resume();
  }

  /** Closes the connection: a client that has gone away. */
  destroy(): void {
    this.socket.destroy();
  }

  /** Sends no more, and goes on reading. */
  halfClose(): void {
    this.socket.end();
  }

  /** Takes bytes off the wire. Returns those that belong to the next response. @internal */
  take(bytes: Buffer): Buffer {
    let rest = bytes;
    while (rest.length > 0 && this.end === undefined) {
      if (!this.begun) rest = this.#takeHead(rest);
      else if (this.#framing === "chunked") rest = this.#takeChunked(rest);
      else rest = this.#takePlain(rest);
    }
    return rest;
  }

  /** The connection is gone. @internal */
  cut(): void {
    this.finish(this.begun && this.#framing === "close" ? "complete" : "cut");
  }

  #takeHead(bytes: Buffer): Buffer {
    const before = this.head.length;
    const head = this.head + bytes.toString("latin1");
    const end = head.indexOf(END_OF_HEAD);
    this.head = end === -1 ? head : head.slice(0, end);
    if (end === -1) return bytes.subarray(bytes.length);
    this.begun = true;
    this.#readHead();
    return bytes.subarray(end + END_OF_HEAD.length - before);
  }

  #readHead(): void {
    const { headers } = this;
    const [statusLine = "", ...lines] = this.head.split(CRLF);
    this.status = Number(statusLine.split(" ")[1]);
    for (const line of lines) {
      const colon = line.indexOf(":");
      const name = line.slice(0, colon).toLowerCase();
      const value = line.slice(colon + 1).trim();
      headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
    }
    const length = headers["content-length"];
    const empty = this.#method === "HEAD" || this.status === 204 || this.status === 304 || length === "0";
    if (empty) this.finish("complete");
    else if (/\bchunked\b/i.test(headers["transfer-encoding"] ?? "")) this.#framing = "chunked";
    else if (length !== undefined) {
      this.#framing = "length";
      this.#left = Number(length);
    }
  }

  #takePlain(bytes: Buffer): Buffer {
    const part = this.#framing === "close" ? bytes : bytes.subarray(0, this.#left);
    this.add(part);
    this.#left -= part.length;
    if (this.#left === 0) this.finish("complete");
    return bytes.subarray(part.length);
  }

  #takeChunked(bytes: Buffer): Buffer {
    if (this.#left > 0) {
      const part = bytes.subarray(0, this.#left);
      this.#left -= part.length;
      this.#chunk += this.add(part);
      return bytes.subarray(part.length);
    }
    const end = bytes.indexOf("\n");
    const taken = end === -1 ? bytes.length : end + 1;
    this.#line += bytes.toString("latin1", 0, taken);
    if (end !== -1) {
      const line = this.#line.replace(/\r?\n$/, "");
      this.#line = "";
      this.#onLine(line);
    }
    return bytes.subarray(taken);
  }

  #onLine(line: string): void {
    if (this.#part === "trailer") {
      if (line === "") this.finish("complete");
    } else if (this.#part === "end") {
      this.chunks.push(this.#chunk);
      this.#chunk = "";
      this.#part = "size";
    } else {
      this.#left = /^[0-9a-f]+ *(;|$)/i.test(line) ? Number.parseInt(line, 16) : Number.NaN;
      if (Number.isNaN(this.#left)) {
        this.socket.destroy(new Error(`A chunk begins with ${JSON.stringify(line)}, which is no size.`));
      }
      this.#part = this.#left === 0 ? "trailer" : "end";
    }
  }
}
