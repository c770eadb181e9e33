import { END_EVENT, GAP_EVENT, type GapData, heartbeatOf, RESERVED_PREFIX } from "../protocol/index.ts";
import type { Defined, EventSchemas, EventToRead } from "../schema/index.ts";
import { type ConnectionHandlers, ignore, runConnection } from "./connection.ts";
import { type ConnectionFailure, safely, toError } from "./failure.ts";
import { createListeners, type Unsubscribe } from "./listeners.ts";
import { IDLE, isFinal, type StreamInput, type StreamStatus, transition } from "./machine.ts";
import { type AnyStreamOptions, checkOptions, type EventStreamOptions, type PerAttempt } from "./options.ts";
import { type PageSignal, watchPage } from "./page.ts";
import { createQueue, type EventQueue } from "./queue.ts";
import { createResumePlan } from "./resume.ts";
import { judgeLoss } from "./retry.ts";
import { setTimer, type Timer } from "./timer.ts";
import { createWatchdog } from "./watchdog.ts";

/** One event, as it came. */
export interface StreamEvent {
  /** The event type; `message` where the server named none. */
  readonly type: string;
  readonly data: string;
  /** The last event ID with this event: what to resume after once it is dealt with. Empty where there is none. */
  readonly lastEventId: string;
}

/** What a stream with these `events` hands out: the events that they define, with the data that their schemas make. */
export type StreamEventOf<E extends Defined> = E extends EventSchemas ? EventToRead<E> : StreamEvent;

/** The one of them that has the type `T`. */
export type StreamEventOfType<E extends Defined, T> = E extends EventSchemas
  ? Extract<EventToRead<E>, { readonly type: T }>
  : StreamEvent;

/**
 * A stream of events over connections that come and go. It opens with its first consumer, a listener for events or a
 * `for await` loop, so that none arrives before there is somebody to take it.
 */
export interface EventStream<E extends Defined = undefined> extends AsyncIterable<StreamEventOf<E>> {
  /** Where the connection stands, with the last failure. A new value whenever something changes. */
  readonly status: StreamStatus;
  /** The id to resume after: that of the last event or checkpoint received. Empty where there is none. */
  readonly lastEventId: string;
  /** The head of the last answer that was an event stream: URL after redirects, headers. Its body is in use. */
  readonly response: Response | undefined;
  /** Calls `listener` with every event of the type, from now on. */
  on<T extends StreamEventOf<E>["type"]>(
    type: T,
    listener: (event: StreamEventOfType<E, T>) => void,
  ): Unsubscribe;
  /** Calls `listener` with every event of any type, from now on. */
  onEvent(listener: (event: StreamEventOf<E>) => void): Unsubscribe;
  /** Calls `listener` when the server says that events are missing. Does not open the stream. */
  onGap(listener: (gap: GapData) => void): Unsubscribe;
  /** Calls `listener` with every new status. Does not open the stream. */
  onStatus(listener: (status: StreamStatus) => void): Unsubscribe;
  /**
   * The events from now on; each loop has a queue of its own. Leaving a loop closes the stream, and a loop ends when
   * the stream is closed. When the stream fails it throws an `EverstreamError` with the failure's code, and the
   * {@link ConnectionFailure} as its `cause`.
   */
  [Symbol.asyncIterator](): AsyncIterableIterator<StreamEventOf<E>>;
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
export function openEventStream<E extends Defined = undefined>(
  url: PerAttempt<string | URL>,
  options: EventStreamOptions<E> = {},
): EventStream<E> {
  checkOptions(options);
  return new ReconnectingStream(url, options) as EventStream as EventStream<E>;
}

const CONNECT_TIMEOUT_MS = 30_000;

/** The machine's hands: does what each state asks for, and tells the machine what came of it. */
class ReconnectingStream implements EventStream {
  status = IDLE;
  lastEventId: string;
  response: Response | undefined;

  readonly #options: AnyStreamOptions;
  /** Makes of an event what is handed out, if anything. */
  readonly #read: (event: StreamEvent) => unknown;
  readonly #plan;
  readonly #queues: EventQueue<StreamEvent>[] = [];
  readonly #onEvent = createListeners<StreamEvent>();
  readonly #onGap = createListeners<GapData>();
  readonly #onStatus = createListeners<StreamStatus>();
  readonly onGap = this.#onGap.add;
  readonly onStatus = this.#onStatus.add;
  readonly #watchdog = createWatchdog(
    () => this.dispatch({ type: "silent" }),
    () => this.#isResumable(),
  );
  #retryMs: number | undefined;
  #connection: AbortController | undefined;
  /** The connect timeout while connecting, the wait while waiting. */
  #timer: Timer | undefined;
  /** Takes away what listens outside of this stream. */
  readonly #leave = new AbortController();

  constructor(url: PerAttempt<string | URL>, options: AnyStreamOptions) {
    const { signal } = options;
    this.#read = options.events?.reader(options.onInvalid) ?? ((event) => event);
    this.#options = options;
    this.#plan = createResumePlan(url, options);
    this.lastEventId = options.initialLastEventId ?? "";
    this.#watchdog.beat(options.heartbeat);
    if (signal?.aborted) this.close();
    signal?.addEventListener("abort", this.close, { signal: this.#leave.signal });
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

  [Symbol.asyncIterator](): AsyncIterableIterator<StreamEvent> {
    const { maxQueue = 256, overflow = "pause" } = this.#options;
    const queue = createQueue<StreamEvent>(maxQueue, overflow, this.close);
    const finish = (status: StreamStatus): void => {
      const { reason, failure } = status;
      if (isFinal(status)) queue.end(failure && toError(failure), reason === "close");
    };
    // For good: the end of a loop is that of the stream.
    this.#queues.push(queue);
    this.#onEvent.add(queue.push);
    this.#onStatus.add(finish);
    finish(this.status);
    this.#start();
    return queue.loop;
  }

  // A field, since it is handed out as a listener.
  readonly close = (): void => this.dispatch({ type: "close" });

  /** Sets a status, and does nothing of what it asks for: in a tab that follows another, it is that one's. */
  show(next: StreamStatus): void {
    clearTimeout(this.#timer);
    this.status = next;
    this.#onStatus.emit(next, () => this.status !== next);
  }

  #start(): void {
    if (this.status.state !== "idle") return;
    const onSignal = (signal: PageSignal): void => {
      this.#watchdog.check();
      // What can't be resumed goes on as long as the browser lets it.
      this.dispatch({ type: this.#isResumable() ? signal : "wake" });
    };
    watchPage(onSignal, this.#options.pauseWhenHidden, this.#leave.signal);
  }

  #isResumable(): boolean {
    return this.#plan.allows(this.lastEventId);
  }

  /** Tells the machine what happened. */
  dispatch(input: StreamInput): void {
    const before = this.status;
    const next = transition(before, input, Date.now());
    if (next === before) return;
    this.show(next);
    // A listener may have closed the stream by now.
    if (next.state !== before.state && this.status === next) this.#enter(next);
  }

  /** Does what a new state asks for. */
  #enter({ state, nextTryAt = 0 }: StreamStatus): void {
    if (state === "connecting") void this.#connect();
    else if (state === "stalled") this.#lose({ code: "STALLED", message: "No heartbeat." });
    else if (state !== "open") {
      // Nothing more is heard of the connection, if there is one, not even its end.
      this.#connection?.abort();
      this.#watchdog.rest();
    }
    if (isFinal(this.status)) this.#leave.abort();
    if (state === "waiting") {
      this.#timer = setTimer(() => this.dispatch({ type: "elapsed" }), nextTryAt - Date.now());
    }
  }

  async #connect(): Promise<void> {
    this.#connection = new AbortController();
    const { signal } = this.#connection;
    const { connectTimeout = this.#isResumable() ? CONNECT_TIMEOUT_MS : 0 } = this.#options;
    this.#timer = setTimer(
      () => this.#lose({ code: "TIMEOUT", message: "No answer." }),
      connectTimeout || Number.POSITIVE_INFINITY,
    );
    const attempt = { ...this.#plan, lastEventId: this.lastEventId, signal };
    const handlers: ConnectionHandlers = {
      onOpen: (response, url) => {
        this.response = response;
        this.#plan.onAnswer(response, url);
        this.#watchdog.open();
        this.dispatch({ type: "opened" });
      },
      onEvent: ({ event: type, data, lastEventId }) => {
        // The rest of what was read when a listener closed the stream.
        if (signal.aborted) return;
        this.lastEventId = lastEventId;
        // What is said to be over need not be asked for again: that would be answered by 204.
        if (type === END_EVENT) this.dispatch({ type: "ended" });
        safely(() => {
          if (type === GAP_EVENT) this.#onGap.emit(JSON.parse(data) as GapData);
          // Others are checkpoints, or of a later version: they move the last event ID and are not for listeners.
          if (type.startsWith(RESERVED_PREFIX)) return;
          // As some servers call what others put into a comment.
          if (type === "ping") this.#watchdog.beat();
          this.dispatch({ type: "progress" });
          const event = this.#read({ type, data, lastEventId });
          if (event) this.#onEvent.emit(event as StreamEvent, () => signal.aborted);
        });
      },
      onId: (id) => {
        if (!signal.aborted) this.lastEventId = id;
      },
      onRetry: (ms) => {
        this.#retryMs = ms;
      },
      onComment: (text) => this.#watchdog.beat(heartbeatOf(text)),
      onRead: async () => {
        // While nothing is read, silence is our own doing.
        this.#watchdog.rest();
        for (const queue of this.#queues) await queue.room();
        if (!signal.aborted) this.#watchdog.touch();
      },
    };
    // What can't be loaded can't be shared.
    const sharing = this.#options.share && (await import("./share.ts").catch(ignore));
    const run = sharing ? sharing.runShared : runConnection;
    const failure = await run(this.#options, attempt, handlers, this, runConnection);
    // A connection that was given up has nothing to say any more.
    if (signal.aborted) return;
    if (failure) this.#lose(failure);
    else this.dispatch({ type: "ended" });
  }

  #lose(failure: ConnectionFailure): void {
    const resumable = this.#isResumable();
    this.dispatch(
      judgeLoss(failure, this.status, resumable, this.#retryMs, this.#options, Date.now(), Math.random()),
    );
  }
}
