import { isEverstreamError } from "../errors.ts";
import { createParser, type EventParser, encodeLastEventId } from "../protocol/index.ts";
import { ask, defaultFetch, EVENT_STREAM, read } from "./connection.ts";
import { callsHandlers } from "./event-target.ts";
import { safely } from "./failure.ts";
import { placeCursor } from "./odd-cursor.ts";
import { checkOptions, type HeadersInput, type PerAttempt } from "./options.ts";
import { prepareRequest } from "./request.ts";

/** What can be chosen besides the standard's own. */
export interface EventSourceOptions {
  /** As in the standard: credentials go along to other origins, too. Default `false`. */
  withCredentials?: boolean | undefined;
  /** Used in place of the global `fetch`. */
  fetch?: typeof globalThis.fetch | undefined;
  /** Request headers, or a function (it may be async) that is asked before every attempt. */
  headers?: PerAttempt<HeadersInput> | undefined;
  /** The largest event that is accepted, in bytes, without the comments before it. Default 16 MiB. */
  maxEventBytes?: number | undefined;
}

/** A message whose data is text; Node's own `MessageEvent` takes no type for it. */
interface TextMessage extends MessageEvent {
  readonly data: string;
}
type Listener = (event: TextMessage) => void;
/** As the runtime's own event targets take them. */
type AnyListener = Parameters<EventTarget["addEventListener"]>[1];
type ListenerOptions = Parameters<EventTarget["addEventListener"]>[2];
type Handler = ((this: EventSource, event: Event) => void) | null;
type MessageHandler = ((this: EventSource, event: TextMessage) => void) | null;

/** The reconnection time until the server sends one, as in Chromium and Safari. */
const RECONNECTION_MS = 3000;
/** Where the waits after attempts that failed stop growing. */
const MAX_BACKOFF_MS = 30_000;
/** Servers may ask for none at all, which would be a request after the other as fast as these are answered. */
const MIN_WAIT_MS = 100;
const MAX_TIMER_MS = 2 ** 31 - 1;
/** The standard has no bound. A stream without line ends would fill the memory. */
const MAX_EVENT_BYTES = 16 * 1024 * 1024;
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
    (type: string, listener: Listener | null, options?: ListenerOptions): void;
    (type: string, listener: { handleEvent: Listener } | AnyListener | null, options?: ListenerOptions): void;
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
  #connection: AbortController | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
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
   * @throws EverstreamError `INVALID_OPTION`, for `maxEventBytes`.
   * @throws TypeError A header's name or value is not valid. From a function, such headers are reported, and it is closed.
   */
  constructor(url: string | URL, options: EventSourceOptions = {}) {
    super();
    if (typeof options.headers !== "function") new Headers(options.headers);
    checkOptions({ maxEventBytes: options.maxEventBytes });
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
  static fromReadableStream(
    stream: ReadableStream<Uint8Array>,
    options?: Pick<EventSourceOptions, "maxEventBytes">,
  ): EventSource {
    const reader = stream.getReader();
    const source = new EventSource("about:event-stream", options);
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
    this.#connection?.abort();
    clearTimeout(this.#timer);
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
    const added = (event: Event): void => this.#handlers.get(type)?.call(this, event as TextMessage);
    this.#relays.set(type, added);
    this.addEventListener(type, added);
  }

  async #connect(): Promise<void> {
    // One for each connection: what listens to it is gone with it.
    const connection = new AbortController();
    this.#connection = connection;
    const { signal } = connection;
    if (this.#readyState === CLOSED) connection.abort();
    const reader = this.#reader;
    try {
      // It is locked already, by this reader.
      if (reader) await this.#read({ body: { getReader: () => reader } } as unknown as Response, signal);
      else await this.#fetch(signal);
    } catch (error) {
      // The standard's error event tells nothing; a network error is answered as an end is. An event that is too large
      // would be so again.
      if (isEverstreamError(error, "EVENT_TOO_LARGE")) this.#giveUp(error);
    }
    connection.abort();
    if (this.#readyState === CLOSED) return;
    if (reader) this.#fail();
    else this.#reestablish();
  }

  async #fetch(signal: AbortSignal): Promise<void> {
    const request = await this.#prepare(signal);
    if (request === undefined || signal.aborted) return;
    const { fetch = defaultFetch() } = this.#options;
    const response = await fetch(...request);
    // Any other answer fails the connection (HTML 9.2.3): also 204, and a 2xx that is an event stream.
    if (response.status === 200 && EVENT_STREAM.test(`${response.headers.get("Content-Type")}`)) {
      this.#origin = new URL(response.url || this.#url).origin;
      await this.#read(response, signal);
    } else {
      if (!signal.aborted) this.#fail();
      await response.body?.cancel();
    }
  }

  /** Not every fetch hears of the signal; where it is too late, nothing is told and the body is let go. */
  async #read(source: Pick<Response, "body">, signal: AbortSignal): Promise<void> {
    if (!signal.aborted) {
      this.#failures = 0;
      this.#readyState = OPEN;
      this.dispatchEvent(new Event("open"));
    }
    this.#parser = this.#createParser();
    await read(source, signal, async (bytes) => {
      if (!(bytes instanceof Uint8Array)) throw new TypeError("A stream of events is one of bytes.");
      this.#parser?.push(bytes);
    });
  }

  /** What to call `fetch` with. A request that can't be made fails the connection: there is no use in another attempt. */
  async #prepare(signal: AbortSignal): Promise<ReturnType<typeof prepareRequest> | undefined> {
    const given = await ask(this.#options.headers);
    // An id that no header can carry is not sent at all.
    const isSent = encodeLastEventId(this.#lastEventId) !== undefined;
    const facts = { lastEventId: isSent ? this.#lastEventId : "", resuming: true, signal };
    const credentials = this.withCredentials ? "include" : "same-origin";
    const options = { fetch: this.#options.fetch, credentials } as const;
    try {
      return prepareRequest(options, facts, this.#url, given, isSent ? placeCursor : undefined);
    } catch (error) {
      this.#giveUp(error);
      return undefined;
    }
  }

  #createParser(): EventParser {
    const origin = this.#origin;
    return createParser({
      lastEventId: this.#lastEventId,
      maxEventBytes: this.#options.maxEventBytes ?? MAX_EVENT_BYTES,
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

  /** What would go wrong at any attempt, for its developer to know. */
  #giveUp(error: unknown): void {
    safely(() => {
      throw error;
    });
    if (this.#readyState !== CLOSED) this.#fail();
  }

  #fail(): void {
    this.#readyState = CLOSED;
    this.dispatchEvent(new Event("error"));
  }

  /** Waits the reconnection time; longer after attempts that failed, which the standard allows. */
  #reestablish(): void {
    const base = this.#reconnectionMs;
    const bound = this.#failures === 0 ? base : Math.max(base, RECONNECTION_MS) * 2 ** this.#failures;
    const spreadMs = Math.random() * Math.max(0, Math.min(bound, MAX_BACKOFF_MS) - base);
    const waitMs = Math.max(MIN_WAIT_MS, base + spreadMs);
    this.#failures++;
    this.#readyState = CONNECTING;
    this.dispatchEvent(new Event("error"));
    // Its listener may have closed it.
    if (this.#readyState === CONNECTING) this.#timer = setTimeout(() => void this.#connect(), waitMs);
  }
}

function resolve(url: string): string {
  const base = globalThis.document?.baseURI ?? globalThis.location?.href;
  try {
    return new URL(url, base).href;
  } catch {
    throw new DOMException(`Not a valid URL: ${url}`, "SyntaxError");
  }
}
