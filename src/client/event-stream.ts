import { GAP_EVENT, type GapData, type ParsedEvent, parseHello, RESERVED_PREFIX } from "../protocol/index.ts";
import { runConnection } from "./connection.ts";
import { type ConnectionFailure, toError } from "./failure.ts";
import { createListeners, type Unsubscribe } from "./listeners.ts";
import { hasConnection, IDLE, isFinal, type StreamInput, type StreamStatus, transition } from "./machine.ts";
import { checkOptions, type EventStreamOptions, type PerAttempt } from "./options.ts";
import { isPageHidden, watchPage } from "./page.ts";
import { createQueue, type EventQueue } from "./queue.ts";
import { createResumePlan } from "./resume.ts";
import { judgeLoss } from "./retry.ts";
import { createWatchdog } from "./watchdog.ts";

/** One event, as it came. */
export interface StreamEvent {
  /** The event type; `message` where the server named none. */
  readonly type: string;
  readonly data: string;
  /** The last event ID with this event: what to resume after once it is dealt with. Empty where there is none. */
  readonly lastEventId: string;
}

/**
 * A stream of events over connections that come and go. It opens with its first consumer, a listener for events or a
 * `for await` loop, so that none arrives before there is somebody to take it.
 */
export interface EventStream extends AsyncIterable<StreamEvent, undefined, undefined> {
  /** Where the connection stands, with the last failure. A new value whenever something changes. */
  readonly status: StreamStatus;
  /** The id to resume after: that of the last event or checkpoint received. Empty where there is none. */
  readonly lastEventId: string;
  /** The head of the last answer that was an event stream: URL after redirects, headers. Its body is in use. */
  readonly response: Response | undefined;
  /** Calls `listener` with every event of the type, from now on. */
  on(type: string, listener: (event: StreamEvent) => void): Unsubscribe;
  /** Calls `listener` with every event of any type, from now on. */
  onEvent(listener: (event: StreamEvent) => void): Unsubscribe;
  /** Calls `listener` when the server says that events are missing. Does not open the stream. */
  onGap(listener: (gap: GapData) => void): Unsubscribe;
  /** Calls `listener` with every new status. Does not open the stream. */
  onStatus(listener: (status: StreamStatus) => void): Unsubscribe;
  /**
   * The events from now on; each loop has a queue of its own. Leaving the last running loop closes the stream. A loop
   * ends when the stream is closed. When the stream fails it throws an `EverstreamError` with the failure's code,
   * and the {@link ConnectionFailure} as its `cause`.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<StreamEvent, undefined, undefined>;
  /** Ends the stream for good; loops end without the events still queued. May be called twice. */
  close(): void;
}

/**
 * Opens an event stream over `fetch` and keeps it open: it reconnects with growing, random waits, resumes after the
 * last event ID, and notices a connection that is dead but not closed. {@link EventStreamOptions} says what can be
 * chosen. It works with every server of event streams, and needs nothing but `fetch` and timers.
 *
 * @param url Where the stream is, or a function (it may be async) that is asked before every attempt.
 * @throws EverstreamError `INVALID_OPTION`: an option can't be used.
 */
export function openEventStream(
  url: PerAttempt<string | URL>,
  options: EventStreamOptions = {},
): EventStream {
  checkOptions(options);
  return new ReconnectingStream(url, options);
}

const CONNECT_TIMEOUT_MS = 30_000;

/** The machine's hands: does what each state asks for, and tells the machine what came of it. */
class ReconnectingStream implements EventStream {
  status = IDLE;
  lastEventId: string;
  response: Response | undefined;

  readonly #options: EventStreamOptions;
  readonly #plan;
  readonly #queues = new Set<EventQueue<StreamEvent>>();
  readonly #onEvent = createListeners<StreamEvent>();
  readonly #onGap = createListeners<GapData>();
  readonly #onStatus = createListeners<StreamStatus>();
  readonly #watchdog = createWatchdog(() => this.#dispatch({ type: "silent" }));
  #serverRetryMs: number | undefined;
  #connection: AbortController | undefined;
  /** The connect timeout while connecting, the wait while waiting. */
  #timer: ReturnType<typeof setTimeout> | undefined;
  #leavePage: (() => void) | undefined;

  constructor(url: PerAttempt<string | URL>, options: EventStreamOptions) {
    const { signal, heartbeat = 0, initialLastEventId = "" } = options;
    this.#options = options;
    this.#plan = createResumePlan(url, options);
    this.lastEventId = initialLastEventId;
    this.#watchdog.expect(heartbeat);
    if (signal?.aborted) this.close();
    else signal?.addEventListener("abort", this.close);
  }

  on(type: string, listener: (event: StreamEvent) => void): Unsubscribe {
    return this.onEvent((event) => {
      if (event.type === type) listener(event);
    });
  }

  onEvent(listener: (event: StreamEvent) => void): Unsubscribe {
    this.#start();
    return this.#onEvent.add(listener);
  }

  onGap(listener: (gap: GapData) => void): Unsubscribe {
    return this.#onGap.add(listener);
  }

  onStatus(listener: (status: StreamStatus) => void): Unsubscribe {
    return this.#onStatus.add(listener);
  }

  [Symbol.asyncIterator](): AsyncIterableIterator<StreamEvent, undefined, undefined> {
    const { maxQueue = 1024, overflow = "pause" } = this.#options;
    const queue = createQueue<StreamEvent>(maxQueue, overflow, () => {
      stopPushing();
      this.#queues.delete(queue);
      if (this.#queues.size === 0) this.close();
    });
    const stopPushing = this.#onEvent.add(queue.push);
    this.#queues.add(queue);
    if (isFinal(this.status)) this.#finish(queue);
    this.#start();
    return queue.loop;
  }

  // A field, since it is handed out as a listener.
  readonly close = (): void => this.#dispatch({ type: "close" });

  #start(): void {
    if (this.status.state !== "idle") return;
    const { pauseWhenHidden = false } = this.#options;
    this.#leavePage = watchPage((type) => {
      // What can't be resumed is kept as long as the browser keeps it.
      if (type === "pause" && !this.#isResumable()) return;
      if (type === "wake") this.#watchdog.check();
      this.#dispatch({ type });
    }, pauseWhenHidden);
    this.#dispatch({ type: pauseWhenHidden && isPageHidden() ? "pause" : "start" });
  }

  #isResumable(): boolean {
    return this.#plan.allows(this.lastEventId);
  }

  #dispatch(input: StreamInput): void {
    const before = this.status;
    const next = transition(before, input, Date.now());
    if (next === before) return;
    this.status = next;
    const isNew = next.state !== before.state;
    if (isNew) clearTimeout(this.#timer);
    if (!hasConnection(next)) {
      // Nothing more is heard of the connection, if there is one, not even its end.
      this.#connection?.abort();
      this.#watchdog.rest();
    }
    this.#onStatus.emit(next, () => this.status !== next);
    // A listener may have closed the stream by now.
    if (isNew && this.status === next) this.#enter(next);
  }

  /** Does what a new state asks for. */
  #enter({ state, nextTryAt = 0 }: StreamStatus): void {
    if (state === "connecting") this.#connect();
    else if (state === "stalled") this.#lose({ code: "STALLED", message: "The heartbeat is overdue." });
    else if (state === "waiting") {
      this.#timer = setTimeout(() => this.#dispatch({ type: "elapsed" }), nextTryAt - Date.now());
    } else if (state === "closed" || state === "failed") {
      this.#leavePage?.();
      this.#options.signal?.removeEventListener("abort", this.close);
      for (const queue of this.#queues) this.#finish(queue);
    }
  }

  #finish(queue: EventQueue<StreamEvent>): void {
    const { reason, failure } = this.status;
    if (reason === "close") queue.discard();
    else queue.end(failure && toError(failure));
  }

  #connect(): void {
    const connection = new AbortController();
    this.#connection = connection;
    const { signal } = connection;
    const { connectTimeout = this.#isResumable() ? CONNECT_TIMEOUT_MS : 0 } = this.#options;
    if (connectTimeout > 0) {
      const message = `No answer within ${connectTimeout} ms.`;
      this.#timer = setTimeout(() => this.#lose({ code: "TIMEOUT", message }), connectTimeout);
    }
    const { url, resuming } = this.#plan;
    const attempt = { url, resuming, lastEventId: this.lastEventId, signal };
    const end = runConnection(this.#options, attempt, {
      onOpen: (response) => {
        this.response = response;
        this.#plan.onAnswer(response);
        this.#watchdog.touch();
        this.#dispatch({ type: "opened" });
      },
      onEvent: (event) => this.#receive(event, signal),
      onId: (id) => {
        if (!signal.aborted) this.lastEventId = id;
      },
      onRetry: (ms) => {
        this.#serverRetryMs = ms;
      },
      onComment: (text) => {
        const hello = parseHello(text);
        if (hello !== undefined) this.#watchdog.expect(hello.heartbeatMs);
      },
      onRead: () => this.#afterRead(),
    });
    void end.then((failure) => {
      // A connection that was given up has nothing to say any more.
      if (signal.aborted) return;
      if (failure === undefined) this.#dispatch({ type: "ended" });
      else this.#lose(failure);
    });
  }

  #receive({ event: type, data, lastEventId }: ParsedEvent, signal: AbortSignal): void {
    // The rest of what was read when a listener closed the stream.
    if (signal.aborted) return;
    this.lastEventId = lastEventId;
    if (type === GAP_EVENT) this.#onGap.emit(parseGap(data, lastEventId));
    // Others are checkpoints, or of a later version: they move the last event ID and are not for listeners.
    if (type.startsWith(RESERVED_PREFIX)) return;
    this.#plan.onEvent();
    this.#dispatch({ type: "progress" });
    this.#onEvent.emit({ type, data, lastEventId }, () => signal.aborted);
  }

  async #afterRead(): Promise<void> {
    this.#watchdog.touch();
    for (const queue of this.#queues) {
      const room = queue.room();
      if (room === undefined) continue;
      // While nothing is read, silence is our own doing.
      this.#watchdog.rest();
      await room;
      if (this.status.state === "open") this.#watchdog.touch();
    }
  }

  #lose(failure: ConnectionFailure): void {
    const loss = {
      failure,
      status: this.status,
      at: Date.now(),
      resumable: this.#isResumable(),
      serverRetryMs: this.#serverRetryMs,
      random: Math.random(),
    };
    this.#dispatch(judgeLoss(loss, this.#options));
  }
}

/** A gap that can't be read is still one. */
function parseGap(data: string, lastEventId: string): GapData {
  try {
    return JSON.parse(data) as GapData;
  } catch {
    return { reason: "invalid", after: lastEventId, next: "" };
  }
}
