import { createParser, type EventParser, encodeLastEventId } from "../protocol/index.ts";
import { ask, defaultFetch, EVENT_STREAM, ignore, read } from "./connection.ts";
import type { PerAttempt } from "./options.ts";
import { prepareRequest } from "./request.ts";

/** What can be chosen besides the standard's own. */
export interface EventSourceOptions {
  /** As in the standard: credentials go along to other origins, too. Default `false`. */
  withCredentials?: boolean | undefined;
  /** Used in place of the global `fetch`. */
  fetch?: typeof globalThis.fetch | undefined;
  /** Request headers, or a function (it may be async) that is asked before every attempt. */
  headers?: PerAttempt<HeadersInit> | undefined;
}

type Listener = (event: MessageEvent<string>) => void;
type Handler = ((this: EventSource, event: Event) => void) | null;
type MessageHandler = ((this: EventSource, event: MessageEvent<string>) => void) | null;

/** The reconnection time until the server sends one, as in Chromium and Safari. */
const RECONNECTION_MS = 3000;
/** Where the waits after attempts that failed stop growing. */
const MAX_BACKOFF_MS = 30_000;
const MAX_TIMER_MS = 2 ** 31 - 1;
const CONNECTING = 0;
const OPEN = 1;
const CLOSED = 2;

/**
 * The standard's `EventSource` (HTML 9.2) over `fetch`, for runtimes without one and for requests with headers. It does
 * what the standard says and no more: a status that is not 200 or another content type ends it for good, a lost
 * connection is opened again for ever, and its errors tell nothing. `openEventStream` is the one that always comes back.
 *
 * Where it can't be as a browser's: events are not trusted, and one that is listened to is not collected before `close()`.
 */
export class EventSource extends EventTarget {
  declare static readonly CONNECTING: typeof CONNECTING;
  declare static readonly OPEN: typeof OPEN;
  declare static readonly CLOSED: typeof CLOSED;
  declare readonly CONNECTING: typeof CONNECTING;
  declare readonly OPEN: typeof OPEN;
  declare readonly CLOSED: typeof CLOSED;
  declare onopen: Handler;
  declare onmessage: MessageHandler;
  declare onerror: Handler;
  declare addEventListener: {
    (type: string, listener: Listener | null, options?: boolean | AddEventListenerOptions): void;
    (
      type: string,
      listener: { handleEvent: Listener } | EventListenerOrEventListenerObject | null,
      options?: boolean | AddEventListenerOptions,
    ): void;
  };

  static {
    for (const [name, value] of Object.entries({ CONNECTING, OPEN, CLOSED })) {
      for (const holder of [EventSource, EventSource.prototype])
        Object.defineProperty(holder, name, { value, enumerable: true });
    }
    for (const type of ["open", "message", "error"]) {
      Object.defineProperty(EventSource.prototype, `on${type}`, {
        configurable: true,
        enumerable: true,
        get(this: EventSource) {
          return this.#handlers.get(type) ?? null;
        },
        set(this: EventSource, value: unknown) {
          this.#setHandler(type, value);
        },
      });
    }
  }

  readonly #url: string;
  readonly #options: EventSourceOptions;
  readonly #end = new AbortController();
  readonly #handlers = new Map<string, Listener>();
  readonly #relays = new Map<string, (event: Event) => void>();
  /** Of a stream that was given, in place of connections. */
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  #parser: EventParser | undefined;
  #origin = "null";
  #readyState: number = CONNECTING;
  #lastEventId = "";
  #reconnectionMs = RECONNECTION_MS;
  #failures = 0;

  /**
   * Opens the connection at once.
   *
   * @param url Relative ones are resolved where there is a document or a worker's location.
   * @throws DOMException `SyntaxError`: the URL can't be parsed.
   */
  constructor(url: string | URL, options: EventSourceOptions = {}) {
    super();
    this.#options = options;
    this.#url = resolve(String(url));
    // Listeners are added before anything can happen.
    queueMicrotask(() => void this.#connect());
  }

  /**
   * Reads the events of any stream of bytes, a `fetch`'s body for one (proposed in whatwg/html#12272). At the stream's end, or
   * when it fails, there is an `error` event and it is closed: whoever gave the stream connects again, and may write what
   * comes then into the same stream.
   *
   * @throws TypeError The stream is locked.
   */
  static fromReadableStream(stream: ReadableStream<Uint8Array>): EventSource {
    const reader = stream.getReader();
    const source = new EventSource("about:event-stream");
    source.#reader = reader;
    return source;
  }

  /** The id to resume after. */
  get lastEventId(): string {
    return this.#lastEventId;
  }

  /** How long to wait before connecting again, in milliseconds. */
  get reconnectionTime(): number {
    return this.#reconnectionMs;
  }

  /** Drops what has come of an unfinished event: what comes next is the beginning of another stream. */
  reset(): void {
    this.#parser?.end();
    this.#parser &&= this.#createParser();
  }

  get url(): string {
    return this.#url;
  }

  get withCredentials(): boolean {
    return Boolean(this.#options.withCredentials);
  }

  /** 0 while connecting, 1 while open, 2 once closed. */
  get readyState(): number {
    return this.#readyState;
  }

  /** Ends it for good, without an event. May be called twice. */
  close(): void {
    this.#readyState = CLOSED;
    this.#end.abort();
  }

  /** An event handler (HTML 8.1.8.1) is a listener whose place is that of its first assignment. */
  #setHandler(type: string, value: unknown): void {
    const relay = this.#relays.get(type);
    if (typeof value !== "function") {
      this.#handlers.delete(type);
      this.#relays.delete(type);
      this.removeEventListener(type, relay ?? null);
      return;
    }
    this.#handlers.set(type, value as Listener);
    if (relay || callsHandlers()) return;
    const added = (event: Event): void => this.#handlers.get(type)?.call(this, event as MessageEvent<string>);
    this.#relays.set(type, added);
    this.addEventListener(type, added);
  }

  async #connect(): Promise<void> {
    const { signal } = this.#end;
    const reader = this.#reader;
    try {
      // It is locked already, by this reader.
      if (reader) await this.#read({ body: { getReader: () => reader } } as unknown as Response);
      else {
        const response = await this.#request(signal);
        if (signal.aborted) return;
        // Any other answer fails the connection (HTML 9.2.3): also 204, and a 2xx that is an event stream.
        if (response.status !== 200 || !EVENT_STREAM.test(response.headers.get("Content-Type") ?? "")) {
          this.#fail();
          await response.body?.cancel();
          return;
        }
        this.#origin = new URL(response.url || this.#url).origin;
        await this.#read(response);
      }
    } catch {
      // The standard's error event tells nothing; a network error is answered as an end is.
    }
    void reader?.cancel().catch(ignore);
    if (this.#readyState === CLOSED) return;
    if (reader) this.#fail();
    else this.#reestablish();
  }

  async #read(source: Pick<Response, "body">): Promise<void> {
    if (this.#readyState === CLOSED) return;
    this.#failures = 0;
    this.#readyState = OPEN;
    this.dispatchEvent(new Event("open"));
    if (this.#end.signal.aborted) return;
    this.#parser = this.#createParser();
    await read(source, this.#end.signal, async (bytes) => {
      if (!(bytes instanceof Uint8Array)) throw new TypeError("A stream of events is one of bytes.");
      this.#parser?.push(bytes);
    });
  }

  async #request(signal: AbortSignal): Promise<Response> {
    const { fetch = defaultFetch(), headers } = this.#options;
    // An id that no header can carry is not sent at all.
    const lastEventId = encodeLastEventId(this.#lastEventId) === undefined ? "" : this.#lastEventId;
    const credentials = this.withCredentials ? "include" : "same-origin";
    const options = { fetch: this.#options.fetch, credentials } as const;
    const facts = { lastEventId, resuming: true, signal };
    return fetch(...prepareRequest(options, facts, this.#url, await ask(headers)));
  }

  #createParser(): EventParser {
    const origin = this.#origin;
    return createParser({
      lastEventId: this.#lastEventId,
      maxEventBytes: Number.POSITIVE_INFINITY,
      onId: (id) => {
        this.#lastEventId = id;
      },
      onRetry: (ms) => {
        this.#reconnectionMs = Math.min(ms, MAX_TIMER_MS);
      },
      onEvent: ({ event, data, lastEventId }) => {
        // The rest of what was read when a listener closed it.
        if (this.#readyState === CLOSED) return;
        this.#lastEventId = lastEventId;
        this.dispatchEvent(new MessageEvent(event, { data, origin, lastEventId }));
      },
    });
  }

  #fail(): void {
    this.#readyState = CLOSED;
    this.dispatchEvent(new Event("error"));
  }

  /** Waits the reconnection time; longer after attempts that failed, which the standard allows. */
  #reestablish(): void {
    const base = this.#reconnectionMs;
    const bound = this.#failures === 0 ? base : Math.max(base, RECONNECTION_MS) * 2 ** this.#failures;
    const waitMs = base + Math.random() * Math.max(0, Math.min(bound, MAX_BACKOFF_MS) - base);
    this.#failures++;
    this.#readyState = CONNECTING;
    this.dispatchEvent(new Event("error"));
    if (this.#end.signal.aborted) return;
    const timer = setTimeout(() => void this.#connect(), waitMs);
    this.#end.signal.addEventListener("abort", () => clearTimeout(timer), { once: true });
  }
}

let callsHandlersItself: boolean | undefined;

/** Whether the runtime's own EventTarget calls what stands in `on…` attributes, as Cloudflare's workers do. */
function callsHandlers(): boolean {
  if (callsHandlersItself === undefined) {
    callsHandlersItself = false;
    const probe = Object.assign(new EventTarget(), {
      onprobe: () => {
        callsHandlersItself = true;
      },
    });
    probe.dispatchEvent(new Event("probe"));
  }
  return callsHandlersItself;
}

function resolve(url: string): string {
  const base = globalThis.document?.baseURI ?? globalThis.location?.href;
  try {
    return new URL(url, base).href;
  } catch {
    throw new DOMException(`Not a valid URL: ${url}`, "SyntaxError");
  }
}
