import { EverstreamError } from "../errors.ts";
import { ByteQueue } from "./byte-queue.ts";
import type { SharedBytes, Sink, SinkOwner } from "./sink.ts";

const encoder = /* @__PURE__ */ new TextEncoder();

/**
 * What a server's own transport offers beside the web stream that the response carries. It says that it is gone by
 * {@link WebSink.close}, whatever the stream's reader does about it.
 */
export interface Transport {
  /**
   * Asked when the stream's reader waits for bytes: a sink that reaches the same client on a shorter way, now that
   * all bytes so far have left; or `undefined` while there is none, or never will be.
   */
  shortcut(): Sink | undefined;
  /** Bytes that were read from the stream and not taken yet. */
  readonly pending: number;
  readonly serverClosing: boolean;
  /** The stream is about to end. */
  ending(): void;
  destroy(): void;
}

/**
 * A sink that is the body of a `Response`. Bytes wait here and not in the stream's own queue, so that what gathered while
 * the reader was busy leaves in few chunks.
 */
export class WebSink implements Sink {
  /** The body to respond with. */
  readonly stream: ReadableStream<Uint8Array<ArrayBuffer>>;
  readonly #owner: SinkOwner;
  readonly #transport: Transport | undefined;
  #controller!: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>;
  #shortcut: Sink | undefined;
  readonly #queue = new ByteQueue();
  /** The reader has asked for a chunk and got none yet. */
  #asked = false;
  #ended = false;
  #gone = false;
  /** The stream was closed, cancelled or broken off. */
  #over = false;

  constructor(owner: SinkOwner, transport?: Transport) {
    this.#owner = owner;
    this.#transport = transport;
    this.stream = new ReadableStream<Uint8Array<ArrayBuffer>>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#onPull(),
        cancel: () => {
          this.#over = true;
          this.close("cancelled");
        },
      },
      { highWaterMark: 0 },
    );
  }

  get pending(): number {
    return this.#shortcut?.pending ?? this.#queue.length + (this.#transport?.pending ?? 0);
  }

  get full(): boolean {
    return this.#shortcut?.full ?? this.#queue.length > 0;
  }

  get serverClosing(): boolean {
    return this.#transport?.serverClosing ?? false;
  }

  writeText(text: string): number {
    const shortcut = this.#takeShortcut();
    if (shortcut !== undefined) return shortcut.writeText(text);
    const bytes = encoder.encode(text);
    this.#enqueue(bytes);
    return bytes.length;
  }

  writeShared(shared: SharedBytes): void {
    const shortcut = this.#takeShortcut();
    if (shortcut !== undefined) shortcut.writeShared(shared);
    else this.#enqueue(shared.bytes);
  }

  end(): void {
    if (this.#ended || this.#gone) return;
    this.#ended = true;
    if (this.#shortcut !== undefined) {
      // What it still holds must leave before the response ends; the stream is closed when that has.
      this.#shortcut.end();
      return;
    }
    this.#transport?.ending();
    if (this.#queue.length === 0) this.#finish();
  }

  destroy(): void {
    if (this.#gone) return;
    if (this.#transport !== undefined) {
      this.#transport.destroy();
      this.close("cancelled");
      return;
    }
    const error = new EverstreamError(
      "STREAM_ENDED",
      "The server has cut this stream off; reconnect to go on.",
    );
    this.#over = true;
    // A server whose client has left tells so by the request's signal, and cancels the body in the same breath. What is
    // broken off before that it takes for a fault, and writes to the console, for every client that leaves.
    queueMicrotask(() => this.#controller.error(error));
    this.close("cancelled");
  }

  /** The transport beneath is gone, by the word of somebody who sees it sooner than the stream. */
  close(reason: "cancelled" | "disconnected"): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#queue.clear();
    // Whoever else still reads, a clone of the response for one, has got all that there will be.
    this.#closeStream();
    this.#owner.onSinkClose(reason);
  }

  #takeShortcut(): Sink | undefined {
    if (this.#shortcut !== undefined) return this.#shortcut;
    if (!this.#asked) return undefined;
    this.#shortcut = this.#transport?.shortcut();
    return this.#shortcut;
  }

  #enqueue(bytes: Uint8Array): void {
    if (this.#gone || bytes.length === 0) return;
    this.#queue.push(bytes);
    if (this.#asked) this.#hand();
  }

  #onPull(): void {
    this.#asked = true;
    if (this.#queue.length === 0) return;
    this.#hand();
    if (this.#queue.length > 0) return;
    if (this.#ended) this.#finish();
    else this.#owner.onSinkDrain();
  }

  #hand(): void {
    this.#asked = false;
    // The stream's types leave no room for shared memory, which no one here makes.
    this.#controller.enqueue(this.#queue.take() as Uint8Array<ArrayBuffer>);
  }

  #closeStream(): void {
    if (this.#over) return;
    this.#over = true;
    this.#controller.close();
  }

  #finish(): void {
    this.#closeStream();
    // A transport may still hold bytes for a client that does not read; it tells when it is really over.
    if (this.#transport === undefined) this.close("cancelled");
  }
}
