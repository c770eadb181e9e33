import type { ServerResponse } from "node:http";
import type { Http2ServerResponse } from "node:http2";
import type { Socket } from "node:net";
import type { Writable } from "node:stream";
import { ByteQueue, PIECE_BYTES } from "./byte-queue.ts";
import { onQueuedClose } from "./queued-close.ts";
import { report } from "./report.ts";
import type { SharedBytes, Sink, SinkOwner } from "./sink.ts";

/** The stream is no longer needed (RFC 9113, 7). */
const HTTP2_CANCEL = 0x8;

/** A response of `node:http` or `node:http2`, also inside Express or Fastify. */
export type NodeResponse = ServerResponse | Http2ServerResponse;

/**
 * A sink that writes to a Node response whose headers are sent.
 *
 * Where nothing stands between the response and its socket, a write goes to the socket itself, with HTTP/1.1's chunk
 * framing (RFC 9112, 7.1) around it in the same buffer: one write where `res.write` needs three, and measured at two
 * thirds of its cost. Everything else, HTTP/2 and responses that middleware has wrapped among it, takes `res.write`.
 */
export class NodeSink implements Sink {
  readonly #owner: SinkOwner;
  readonly #response: NodeResponse;
  /** The socket to write to directly, if any. */
  readonly #socket: Socket | undefined;
  /** What the transport has not been handed yet, if it ever was busy. */
  #held: ByteQueue | undefined;
  #state: "opening" | "open" | "ending" | "ended" | "closed";

  /** @param isOpening Whether the socket is corked for now: {@link NodeSink.opened} follows. */
  constructor(owner: SinkOwner, response: NodeResponse, isOpening = false) {
    this.#owner = owner;
    this.#state = isOpening ? "opening" : "open";
    this.#response = response;
    this.#socket = directSocket(response);
    (response as Marked)[SINK] = this;
    response.on("close", onClose);
    response.on("error", onError);
    onQueuedClose(response, () => this.closed("disconnected"));
    // A client that left before this has had its `close` already.
    if (isGone(response)) queueMicrotask(() => this.closed("disconnected"));
  }

  /** The first bytes have been handed over, which does not show before: corked, the socket holds them all. */
  opened(): void {
    if (this.#state === "opening") this.#state = "open";
  }

  get pending(): number {
    if (this.#state === "opening") return 0;
    return this.#heldLength + (this.#socket ?? this.#response).writableLength;
  }

  get full(): boolean {
    return this.#heldLength > 0 || this.#needsDrain;
  }

  get serverClosing(): boolean {
    return isServerClosing(this.#response);
  }

  writeText(text: string): number {
    if (this.#state === "closed") return 0;
    if (this.#socket === undefined) {
      const bytes = Buffer.from(text);
      this.#put(bytes);
      return bytes.length;
    }
    const length = Buffer.byteLength(text);
    this.#put(frameText(text, length));
    return length;
  }

  writeShared(shared: SharedBytes): void {
    if (this.#state !== "closed") this.#put(this.#socket === undefined ? shared.bytes : shared.chunked);
  }

  end(): void {
    if (this.#state === "closed") return;
    this.#state = "ending";
    if (this.#heldLength === 0) this.#finish();
  }

  destroy(): void {
    cutOff(this.#response);
    this.closed("disconnected");
  }

  /** The transport is gone. @internal */
  closed(reason: "disconnected" | "write-failed"): void {
    if (this.#state === "closed") return;
    this.#state = "closed";
    const source: Marked = this.#drainSource;
    if (source[AWAITING] === this) {
      source.off("drain", onDrain);
      source[AWAITING] = undefined;
    }
    this.#response.off("close", onClose);
    // The error listener stays: a late error of a response without one would end the process.
    if (reason === "write-failed") cutOff(this.#response);
    this.#held = undefined;
    this.#owner.onSinkClose(reason);
  }

  /** The transport took what it held. @internal */
  drained(): void {
    if (this.#state === "closed") return;
    this.#feed();
    if (this.#state === "ending" && this.#heldLength === 0) this.#finish();
    else if (!this.full) this.#owner.onSinkDrain();
  }

  get #heldLength(): number {
    return this.#held?.length ?? 0;
  }

  /** What tells of fullness: of an HTTP/2 response, only its stream does. */
  get #drainSource(): Writable {
    const response = this.#response;
    return this.#socket ?? ("chunkedEncoding" in response ? response : response.stream);
  }

  /** The transport holds bytes, and will say when it has taken them. */
  get #busy(): boolean {
    return this.#needsDrain && this.#drainSource.writableLength > 0;
  }

  /**
   * The transport says `drain` before it takes more without complaint. Who waits for that has asked here first, and only
   * then a listener is hung up: most sessions are never held up, and are spared its memory.
   */
  get #needsDrain(): boolean {
    const source: Writable & Marked = this.#drainSource;
    if (!source.writableNeedDrain || this.#state === "opening") return false;
    if (source[AWAITING] !== this) {
      source[AWAITING] = this;
      source.on("drain", onDrain);
    }
    return true;
  }

  #put(bytes: Uint8Array): void {
    if (bytes.length <= PIECE_BYTES && this.#heldLength === 0 && !this.#busy) {
      this.#write(bytes);
      return;
    }
    this.#held ??= new ByteQueue();
    this.#held.push(bytes);
    this.#feed();
  }

  #feed(): void {
    const held = this.#held;
    while (held !== undefined && held.length > 0 && this.#state !== "closed" && !this.#busy) {
      // Somebody else's end has come in the middle, of a chunk even: what follows would be taken for its rest.
      if (this.#response.writableEnded) this.closed("write-failed");
      else this.#write(held.take());
    }
  }

  #write(bytes: Uint8Array): void {
    const response = this.#response as ServerResponse & { flush?: unknown };
    // Whoever else has ended the response has written its last chunk; more would be read as another response.
    if (response.writableEnded) return;
    const socket = this.#socket;
    if (socket !== undefined) {
      if (socket.writable) socket.write(bytes);
    } else if (!response.destroyed) {
      this.#attempt(() => {
        response.write(bytes);
        // Express' `compression` and its like hold bytes back until asked.
        if (typeof response.flush === "function") response.flush();
      });
    }
  }

  #finish(): void {
    this.#state = "ended";
    closeSocketIfServerCloses(this.#response);
    this.#attempt(() => this.#response.end());
  }

  /** Methods that middleware has put in place of Node's may throw. */
  #attempt(action: () => void): void {
    try {
      action();
    } catch (error) {
      report("Writing to a response failed", error);
      this.closed("write-failed");
    }
  }
}

// Listeners are shared by all sinks, which they find by a mark on the emitter: with ten thousand connections, a
// closure for each event of each would be a good part of an idle session's memory.
const SINK = Symbol("everstream.sink");
/** The sink that listens for `drain`. */
const AWAITING = Symbol("everstream.awaiting");

type Marked = { [SINK]?: NodeSink; [AWAITING]?: NodeSink | undefined } & Pick<
  NodeJS.EventEmitter,
  "on" | "off"
>;

function onDrain(this: Marked): void {
  this[AWAITING]?.drained();
}

function onClose(this: Marked): void {
  this[SINK]?.closed("disconnected");
}

function onError(this: Marked): void {
  this[SINK]?.closed("write-failed");
}

/** Whether the server that accepted this response's connection has stopped listening. */
export function isServerClosing(response: NodeResponse): boolean {
  const { server } = (response.socket ?? {}) as { server?: { listening?: boolean } };
  return server?.listening === false;
}

/** Ends a response in a way that its client can't take for an end in good order. */
export function cutOff(response: NodeResponse): void {
  // HTTP/1.1's takes its socket along. HTTP/2's is one of many on a connection; without a code it would seem complete.
  if (!("chunkedEncoding" in response)) response.stream.close(HTTP2_CANCEL);
  response.destroy();
}

/** A server that is closing waits for its connections, and one that is kept alive would hold it up for nothing. */
export function closeSocketIfServerCloses(response: NodeResponse): void {
  if (!("chunkedEncoding" in response) || !isServerClosing(response)) return;
  const { socket } = response;
  response.once("finish", () => socket?.destroySoon());
}

/** Whether the client of `response` had left before anybody could listen. */
export function isGone(response: NodeResponse): boolean {
  if (!("chunkedEncoding" in response)) return response.stream.destroyed;
  // One that waits behind another has no socket yet, and the connection is its request's. Those made by hand have neither.
  const socket = response.socket ?? response.req?.socket;
  return response.destroyed || socket?.destroyed === true;
}

/**
 * The socket of a response that may be written to past it: the response is on the wire now, alone, chunked, holds no
 * bytes of its own, and its `write` is Node's. Other runtimes' responses look alike and work otherwise inside.
 */
function directSocket(response: NodeResponse): Socket | undefined {
  if (!("chunkedEncoding" in response) || response.write !== nodeWrite()) return undefined;
  const { socket } = response;
  if (socket === null || !response.chunkedEncoding || !response.headersSent || response.writableEnded) {
    return undefined;
  }
  // Node counts what the socket holds, and whether it is corked, as the response's.
  const { writableCorked, writableLength } = socket;
  return response.writableCorked === writableCorked && response.writableLength === writableLength
    ? socket
    : undefined;
}

let plainWrite: ServerResponse["write"] | undefined;

function nodeWrite(): ServerResponse["write"] | undefined {
  if (plainWrite !== undefined) return plainWrite;
  if ("Bun" in globalThis || "Deno" in globalThis) return undefined;
  plainWrite = process.getBuiltinModule?.("node:http").OutgoingMessage.prototype.write;
  return plainWrite;
}

function frameText(text: string, length: number): Buffer {
  const size = length.toString(16);
  const start = size.length + 2;
  const framed = Buffer.allocUnsafe(start + length + 2);
  framed.write(`${size}\r\n`, 0, "latin1");
  framed.write(text, start, "utf8");
  framed[start + length] = 0x0d;
  framed[start + length + 1] = 0x0a;
  return framed;
}
