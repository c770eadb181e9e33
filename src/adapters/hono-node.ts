import {
  closeSocketIfServerCloses,
  cutOff,
  isGone,
  isServerClosing,
  type NodeResponse,
  NodeSink,
} from "../session/node-sink.ts";
import { onQueuedClose } from "../session/queued-close.ts";
import type { Session } from "../session/session.ts";
import type { Sink } from "../session/sink.ts";
import type { Transport, WebSink } from "../session/web-sink.ts";
import { freeHeaders, type NodeRequest } from "./node-headers.ts";

/** What `@hono/node-server` puts into `c.env`. */
export interface NodeEnv {
  incoming?: NodeRequest;
  outgoing: NodeResponse;
}

/** So many writes by others than the stream's reader, and the watching ends: the body is wrapped. */
const MAX_FOREIGN_WRITES = 8;

/** The Node response beneath a Hono context, where its server is Node's. */
export function nodeEnvOf(env: unknown): NodeEnv | undefined {
  if (typeof env !== "object" || env === null) return undefined;
  const { outgoing } = env as { outgoing?: { writeHead?: unknown; on?: unknown } };
  if (typeof outgoing?.writeHead !== "function" || typeof outgoing.on !== "function") return undefined;
  return env as NodeEnv;
}

/**
 * The transport beneath a Hono response on Node. It sees a client leave whatever middleware has made of the response,
 * and offers a shortcut: bytes go straight to the Node response, past the web stream and the server's copying loop,
 * which costs three times as much.
 *
 * The shortcut is safe only where bytes handed to the stream would reach the client unchanged and alone. That is so when
 * who read a chunk of ours called `outgoing.write` with it, the same object, in the very reaction to that read. The
 * server's copying loop does. Code that passes chunks on through a stream of its own, by pipe, tee, clone or hand, is at
 * least one promise further away. Also, `outgoing.write` must be Node's own, and the reader must be waiting, so that
 * everything before has been written.
 */
export class HonoNodeTransport implements Transport {
  readonly #session: Session;
  readonly #outgoing: NodeResponse;
  /** What the reader has been given, while its reactions to that run. */
  #justRead: Uint8Array | undefined;
  /** The stream's reader writes to `outgoing` what it reads. */
  #readerWrites = false;
  #foreignWrites = 0;
  #open: boolean;
  /** The request to free of its header fields; not before the response leaves, since middleware reads them until then. */
  #toFree: NodeRequest | undefined;

  constructor(
    session: Session,
    { incoming, outgoing }: NodeEnv,
    direct: boolean,
    freeRequestHeaders = false,
  ) {
    this.#session = session;
    this.#outgoing = outgoing;
    if (freeRequestHeaders) this.#toFree = incoming;
    this.#open = direct && !Object.hasOwn(outgoing, "write") && "chunkedEncoding" in outgoing;
  }

  /** Watches the sink that this transport carries, and the response beneath. */
  watch(sink: WebSink): void {
    const onClose = (): void => sink.close("disconnected");
    this.#outgoing.on("close", onClose);
    onQueuedClose(this.#outgoing, onClose);
    if (isGone(this.#outgoing)) queueMicrotask(onClose);
    if (!this.#open) return;
    this.#watchReader(sink.stream);
    this.#watchWrites();
  }

  get pending(): number {
    return this.#outgoing.writableLength;
  }

  get serverClosing(): boolean {
    return isServerClosing(this.#outgoing);
  }

  ending(): void {
    closeSocketIfServerCloses(this.#outgoing);
  }

  destroy(): void {
    cutOff(this.#outgoing);
  }

  shortcut(): Sink | undefined {
    if (!this.#open || !this.#readerWrites) return undefined;
    this.#open = false;
    if (Object.hasOwn(this.#outgoing, "write")) return undefined;
    if (this.#toFree !== undefined) freeHeaders(this.#toFree);
    this.#toFree = undefined;
    return new NodeSink(this.#session, this.#outgoing);
  }

  #watchReader(stream: ReadableStream): void {
    const getReader = stream.getReader.bind(stream) as (options?: ReadableStreamGetReaderOptions) => unknown;
    stream.getReader = ((options?: ReadableStreamGetReaderOptions) => {
      const reader = getReader(options) as ReadableStreamDefaultReader<Uint8Array>;
      this.#watchReads(reader);
      return reader;
    }) as ReadableStream["getReader"];
  }

  /** Marks the reactions to each read. Ours is the first, being added before the promise is handed out. */
  #watchReads(reader: ReadableStreamDefaultReader<Uint8Array>): void {
    const read = reader.read.bind(reader);
    reader.read = () => {
      const reading = read();
      if (this.#readerWrites || !this.#open) return reading;
      reading.then(({ value }) => {
        this.#justRead = value;
        queueMicrotask(() => {
          this.#justRead = undefined;
        });
      }, ignoreFailedRead);
      return reading;
    };
  }

  /** Looks at what passes by `outgoing.write`, until it is known whose it is. */
  #watchWrites(): void {
    const outgoing = this.#outgoing as { write?: (...args: unknown[]) => unknown };
    const { write } = outgoing;
    const watch = (...args: unknown[]): unknown => {
      if (args[0] === this.#justRead) this.#readerWrites = true;
      else if (++this.#foreignWrites === MAX_FOREIGN_WRITES) this.#open = false;
      // Whoever has wrapped the method since keeps their wrapper, and the shortcut stays closed.
      if ((this.#readerWrites || !this.#open) && outgoing.write === watch) delete outgoing.write;
      return write?.apply(outgoing, args);
    };
    outgoing.write = watch;
  }
}

function ignoreFailedRead(): void {
  // Who reads is told of it.
}
