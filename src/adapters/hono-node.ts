import {
  closeSocketIfServerCloses,
  cutOff,
  isGone,
  isServerClosing,
  type NodeResponse,
  NodeSink,
} from "../session/node-sink.ts";
import type { Session } from "../session/session.ts";
import type { Sink } from "../session/sink.ts";
import type { Transport, WebSink } from "../session/web-sink.ts";

/** What `@hono/node-server` puts into `c.env`. */
export interface NodeEnv {
  outgoing: NodeResponse;
}

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
 * The shortcut is safe only where bytes handed to the stream would reach the client unchanged and alone. It is taken
 * when all of this holds:
 * - the server read our very stream by `getReader`, once, and nothing has piped or teed it;
 * - at that moment, when all middleware had run, the context's response had our stream as its body, and it still is
 *   the same response;
 * - our first chunk, the same object, was what `outgoing.write` was called with first, and that method is Node's own;
 * - the headers are sent, and the reader waits, so that everything before has been written.
 *
 * A wrapper outside Hono that reads by hand and passes on our first chunk itself, but changes a later one, can't be told
 * from the server; the option `direct: false` is for it.
 */
export class HonoNodeTransport implements Transport {
  readonly #session: Session;
  readonly #outgoing: NodeResponse;
  readonly #response: () => Response;
  /** The context's response at the moment when the stream was read; `undefined` before, and where it was wrapped. */
  #read: Response | undefined;
  #firstWrite: unknown;
  #open: boolean;

  constructor(session: Session, outgoing: NodeResponse, response: () => Response, direct: boolean) {
    this.#session = session;
    this.#outgoing = outgoing;
    this.#response = response;
    this.#open = direct && !Object.hasOwn(outgoing, "write") && "chunkedEncoding" in outgoing;
  }

  /** Watches the sink that this transport carries, and the response beneath. */
  watch(sink: WebSink): void {
    this.#outgoing.on("close", () => sink.close("disconnected"));
    if (isGone(this.#outgoing)) queueMicrotask(() => sink.close("disconnected"));
    if (!this.#open) return;
    this.#watchReader(sink.stream);
    this.#watchFirstWrite();
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

  shortcut(firstChunk: Uint8Array): Sink | undefined {
    if (!this.#open || !this.#outgoing.headersSent || this.#firstWrite === undefined) return undefined;
    this.#open = false;
    const safe =
      this.#firstWrite === firstChunk &&
      this.#read !== undefined &&
      this.#response() === this.#read &&
      !Object.hasOwn(this.#outgoing, "write");
    return safe ? new NodeSink(this.#session, this.#outgoing) : undefined;
  }

  #watchReader(stream: ReadableStream): void {
    let reads = 0;
    const getReader = stream.getReader.bind(stream) as (options?: ReadableStreamGetReaderOptions) => unknown;
    const tee = stream.tee.bind(stream);
    stream.getReader = ((options?: ReadableStreamGetReaderOptions) => {
      // The stream is not locked yet, so that asking for the response's body is harmless.
      this.#read = ++reads === 1 && this.#bodyIs(stream) ? this.#response() : undefined;
      return getReader(options);
    }) as ReadableStream["getReader"];
    stream.tee = () => {
      this.#open = false;
      return tee();
    };
  }

  #bodyIs(stream: ReadableStream): boolean {
    return this.#response().body === stream;
  }

  /** Lets one call of `outgoing.write` pass by and looks at what it writes. */
  #watchFirstWrite(): void {
    const outgoing = this.#outgoing as { write?: (...args: unknown[]) => unknown };
    const { write } = outgoing;
    const watch = (...args: unknown[]): unknown => {
      this.#firstWrite ??= args[0];
      // Whoever has wrapped the method since keeps their wrapper, and the shortcut stays closed.
      if (outgoing.write === watch) delete outgoing.write;
      return write?.apply(outgoing, args);
    };
    outgoing.write = watch;
  }
}
