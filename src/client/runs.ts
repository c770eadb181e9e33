import { EverstreamError } from "../errors.ts";
import { ask, explain } from "./connection.ts";
import { type EventStream, openEventStream, type StreamEvent } from "./event-stream.ts";
import { type ConnectionFailure, messageOf, safely, toError } from "./failure.ts";
import { createFrameTask } from "./frames.ts";
import { joinHeaders } from "./headers.ts";
import { createListeners, type Unsubscribe } from "./listeners.ts";
import type { StreamStatus } from "./machine.ts";
import type { EventStreamOptions } from "./options.ts";
import { isOver, lost, type RunSnapshot, reduceRun, unknownRun } from "./run-state.ts";

/**
 * How a run's routes are asked: as a stream's, but for what a run settles by itself. Tabs don't share it: who joins wants
 * all of it, and a tab that others follow has none of its past.
 */
export type RunRequestOptions = Omit<
  EventStreamOptions,
  | "events"
  | "onInvalid"
  | "method"
  | "body"
  | "initialLastEventId"
  | "resume"
  | "resumeUrl"
  | "retryPost"
  | "maxQueue"
  | "overflow"
  | "share"
>;

/** Options of {@link startRun}. */
export interface StartRunOptions extends RunRequestOptions {
  /** The run's id, so that starting twice starts once: 1 to 128 printable characters of ASCII. Default: a random one. */
  id?: string | undefined;
  /** What it is started with, sent as JSON. */
  input?: unknown;
  /** In place of `input`: a body that is sent as it is, a form as it may be. */
  body?: EventStreamOptions["body"];
}

/** Options of {@link joinRun}. */
export interface JoinRunOptions extends RunRequestOptions {
  /** What was known of the run in an earlier page: it is followed from there, unless it was lost. Default: from its start. */
  from?: RunSnapshot | undefined;
}

/**
 * A run that is followed, over connections that come and go, until it is over. Closing it, or leaving the page, stops
 * only the following.
 */
export interface FollowedRun {
  readonly id: string;
  /** What is known of it up to now. A new value whenever something changes, which can be stored as JSON. */
  readonly snapshot: RunSnapshot;
  /** Where the connection stands. */
  readonly status: StreamStatus;
  /** Calls `listener` after changes of the snapshot or the status, once a frame at most, and at once when it is over. */
  subscribe(listener: () => void): Unsubscribe;
  /** Calls `listener` with every piece of the text as it comes; one that comes late first gets all that it missed. */
  onText(listener: (piece: string) => void): Unsubscribe;
  /**
   * Calls `listener` with every event of the run, from now on. Where the run has to be read once more from its start, it is
   * not told again what it was told, and of text that was joined with more only the rest.
   */
  onEvent(listener: (event: StreamEvent) => void): Unsubscribe;
  /**
   * Resolves when the run is over, however it ended: see `state`. Never rejects; after `close` it resolves with what was
   * known by then.
   */
  readonly finished: Promise<RunSnapshot>;
  /** Ends the run itself, for everybody, as {@link stopRun} does, also when it is followed no longer. */
  stop(): Promise<void>;
  /** Stops following; a start that was not answered yet may be lost with it. May be called twice. */
  close(): void;
}

/**
 * Starts a run and follows it. Sending it again is safe, because of its id: a start whose answer was lost is repeated,
 * and what it did is joined.
 *
 * @param url Where the runs' routes are, as `/runs`.
 * @throws EverstreamError `INVALID_OPTION`: an option can't be used.
 */
export function startRun(url: string | URL, options: StartRunOptions = {}): FollowedRun {
  const { id = randomId(), input, body, ...request } = options;
  if (body !== undefined && input !== undefined) {
    throw new EverstreamError("INVALID_OPTION", "Give `input` or `body`, not both.");
  }
  const start: EventStreamOptions = {
    method: "POST",
    retryPost: true,
    resumeUrl: runUrl(url, id),
    body: body ?? JSON.stringify(input ?? {}),
    ...(body === undefined && { headers: joinHeaders(JSON_TYPE, request.headers) }),
  };
  return new RunFollower(url, unknownRun(id), request, start);
}

/**
 * Follows a run that is there already, from its start or from where an earlier page was: all that was written, in few
 * large pieces, then what comes.
 *
 * @param url Where the runs' routes are, as `/runs`.
 * @throws EverstreamError `INVALID_OPTION`: an option can't be used.
 */
export function joinRun(
  url: string | URL,
  id: string,
  { from, ...request }: JoinRunOptions = {},
): FollowedRun {
  if (from && from.id !== id) {
    throw new EverstreamError("INVALID_OPTION", `\`from\` is of the run "${from.id}", not "${id}".`);
  }
  return new RunFollower(url, from && from.state !== "lost" ? from : unknownRun(id), request);
}

const JSON_TYPE = { "Content-Type": "application/json" };
const STOP_ATTEMPTS = 3;
const STOP_WAIT_MS = 500;

/**
 * Ends a run, for everybody who follows it; one that is over stays as it is. Also before its start has arrived. Tried
 * three times where the server can't be reached.
 *
 * @param url Where the runs' routes are, as `/runs`.
 * @throws EverstreamError the server's code, or `HTTP_STATUS`, where it refused, see `failureOf`; `NETWORK`: it can't be
 *   reached.
 */
export async function stopRun(
  url: string | URL,
  id: string,
  { fetch = globalThis.fetch, headers, credentials, signal }: RunRequestOptions = {},
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    const failure = await stopOnce(async () => {
      const init = { method: "DELETE", headers: await ask(headers), credentials, signal };
      // To fetch, what is undefined is not there.
      return fetch(runUrl(url, id), init as RequestInit);
    });
    if (failure === undefined) return;
    const isTransient = (failure.status ?? 500) >= 500;
    if (!isTransient || attempt === STOP_ATTEMPTS || signal?.aborted) throw refusalOf(failure);
    await new Promise((resolve) => setTimeout(resolve, STOP_WAIT_MS * attempt));
  }
}

async function stopOnce(send: () => Promise<Response>): Promise<ConnectionFailure | undefined> {
  try {
    const response = await send();
    // Over and no longer kept, or never there: there is nothing left to stop.
    if (response.ok || response.status === 410 || response.status === 404) return undefined;
    const { status } = response;
    return {
      code: "HTTP_STATUS",
      message: `The answer was ${status}.`,
      status,
      ...(await explain(response)),
    };
  } catch (cause) {
    return { code: "NETWORK", message: messageOf(cause), cause };
  }
}

class RunFollower implements FollowedRun {
  snapshot: RunSnapshot;
  readonly finished: Promise<RunSnapshot>;

  readonly #url: string | URL;
  readonly #options: RunRequestOptions;
  readonly #changes = createListeners<undefined>();
  readonly #pieces = createListeners<string>();
  readonly #events = createListeners<StreamEvent>();
  readonly subscribe = this.#changes.add;
  readonly onEvent = this.#events.add;
  readonly #publish = createFrameTask(() => this.#changes.emit(undefined));
  #stream: EventStream;
  /** All of the text that listeners were given, */
  #told: string;
  /** and the ids of other events, for as long as these may be read once more. */
  readonly #seen = new Set<string>();
  #resolve: (snapshot: RunSnapshot) => void = () => undefined;
  /** It was read from its start by GET: there is nothing else to be tried. */
  #fromStart: boolean;

  constructor(
    url: string | URL,
    snapshot: RunSnapshot,
    options: RunRequestOptions,
    start?: EventStreamOptions,
  ) {
    this.#url = url;
    this.#options = options;
    this.snapshot = snapshot;
    this.#told = snapshot.text;
    this.#fromStart = start === undefined && snapshot.lastEventId === "";
    this.finished = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.#stream = this.#open({ initialLastEventId: snapshot.lastEventId, ...start });
  }

  get id(): string {
    return this.snapshot.id;
  }

  get status(): StreamStatus {
    return this.#stream.status;
  }

  onText(listener: (piece: string) => void): Unsubscribe {
    const told = this.#told;
    if (told !== "") safely(() => listener(told));
    return this.#pieces.add(listener);
  }

  stop(): Promise<void> {
    // The signal is about following.
    return stopRun(this.#url, this.id, { ...this.#options, signal: undefined });
  }

  close(): void {
    this.#stream.close();
  }

  #open(more: EventStreamOptions): EventStream {
    const stream = openEventStream(runUrl(this.#url, this.id), {
      ...this.#options,
      ...more,
      // What defaults may say of streams is nothing for runs.
      share: false,
      resume: undefined,
    });
    if (isOver(this.snapshot)) stream.close();
    if (stream.status.state === "closed") {
      this.#resolve(this.snapshot);
      return stream;
    }
    stream.onGap(() => this.#restart("Some of the run's events are no longer kept."));
    stream.onStatus((status) => this.#onStatus(stream, status));
    stream.onEvent((event) => this.#take(event));
    return stream;
  }

  #take(event: StreamEvent): void {
    const next = reduceRun(this.snapshot, event);
    // What is read once more from the start was told already.
    const piece = next.text.slice(this.#told.length);
    this.#told += piece;
    if (piece !== "") this.#pieces.emit(piece);
    const isCut = piece.length < next.text.length - this.snapshot.text.length;
    const news = isCut ? { ...event, data: JSON.stringify({ content: piece }) } : event;
    const id = event.lastEventId;
    if (isCut ? piece : !this.#fromStart || !this.#seen.has(id)) this.#events.emit(news);
    if (!this.#fromStart && piece === "") this.#seen.add(id);
    this.#set(next);
  }

  #set(snapshot: RunSnapshot): void {
    this.snapshot = snapshot;
    this.#publish.request();
    if (!isOver(snapshot)) return;
    this.#stream.close();
    this.#publish.flush();
    this.#resolve(snapshot);
  }

  #onStatus(stream: EventStream, { state, reason, failure }: StreamStatus): void {
    if (stream !== this.#stream || isOver(this.snapshot)) return;
    this.#publish.request();
    if (state === "closed") {
      // By us, or by the server, which has nothing more to say: then an ending was missed.
      if (reason === "close") this.#resolve(this.snapshot);
      else this.#restart("The run's stream ended without an ending.");
    }
    if (state !== "failed" || failure === undefined) return;
    // Lost between the answer's head and its first event: the run is there, and is joined like any other.
    if (failure.code === "NOT_RESUMABLE" && stream.lastEventId === "") this.#restart(failure.message);
    else this.#set(lost(this.snapshot, refusalOf(failure)));
  }

  /** Reads the run once more from its start, since something of it is missing here. */
  #restart(why: string): void {
    const before = this.#stream;
    if (this.#fromStart) {
      this.#set(lost(this.snapshot, new EverstreamError("NOT_RESUMABLE", why)));
      return;
    }
    this.#fromStart = true;
    this.snapshot = unknownRun(this.id);
    this.#stream = this.#open({});
    before.close();
  }
}

/** What the server's JSON says of a refusal, where it does. */
function refusalOf(failure: ConnectionFailure): EverstreamError {
  try {
    const { code, error } = JSON.parse(failure.body ?? "") as Record<string, unknown>;
    if (typeof code === "string" && typeof error === "string") {
      return new EverstreamError(code as EverstreamError["code"], error, { cause: failure });
    }
  } catch {
    // An answer of something in between.
  }
  return toError(failure);
}

function runUrl(url: string | URL, id: string): string {
  const [, base = "", search = ""] = /^([^?#]*)(.*)$/s.exec(String(url)) ?? [];
  return `${base.replace(/\/+$/, "")}/${encodeURIComponent(id)}${search}`;
}

/** As `crypto.randomUUID`, which pages have only where they are served over HTTPS. */
function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
