import { EverstreamError, invalidOption } from "../errors.ts";
import type { PublishedEvent } from "../hub/index.ts";
import { assertObject } from "../input.ts";
import type { ErrorData } from "../protocol/index.ts";
import {
  assertUserEventType,
  DONE_EVENT,
  ERROR_EVENT,
  MASKED_ERROR,
  PROGRESS_EVENT,
} from "../protocol/index.ts";
import type { StepProgress } from "../session/progress.ts";
import { ABANDONED, type Ending, endingEvent, RUN_EVENT, STOPPED, TIMEOUT, TOO_LARGE } from "./names.ts";
import type { StartSettings } from "./options.ts";
import { RunProgress } from "./progress.ts";
import type { Run } from "./types.ts";
import type { RunWriter } from "./writer.ts";

export interface LocalRunOptions
  extends Pick<StartSettings, "id" | "key" | "input" | "shares" | "stopAfterMs"> {
  readonly writer: RunWriter;
  readonly maxDurationMs: number;
  readonly maxOutput: number;
  /** How long its first reader may take to come, at the least. */
  readonly firstReaderMs: number;
  /** What was written before, by another process. */
  readonly written: number;
  /** How far the work had come then, of 1. */
  readonly reached: number;
  /** What clients are told of what the producer threw. */
  readonly explain: (error: unknown) => ErrorData | undefined;
  /** It is over; whether its end is in the log. Called once, and waited for. */
  readonly onOver: (isEnded: boolean) => Promise<void>;
}

/** A run whose producer is in this process. */
export class LocalRun implements Run {
  readonly id: string;
  readonly key: string | undefined;
  readonly input: unknown;
  /** Resolves once it is over here, however. */
  readonly over: Promise<void>;

  readonly #options: LocalRunOptions;
  readonly #writer: RunWriter;
  readonly #controller = new AbortController();
  readonly #progress: RunProgress;
  #written: number;
  #meta: Record<string, unknown> = {};
  #ending = false;
  #isWatched: boolean | undefined;
  #durationTimer: ReturnType<typeof setTimeout> | undefined;
  #unwatchedTimer: ReturnType<typeof setTimeout> | undefined;
  #onOver: () => void = () => undefined;

  constructor(options: LocalRunOptions) {
    this.id = options.id;
    this.key = options.key;
    this.input = options.input;
    this.#options = options;
    this.#writer = options.writer;
    this.#written = options.written;
    this.#progress = new RunProgress(options.shares, options.reached, (data) =>
      this.#writer.send({ type: PROGRESS_EVENT, data }, 0),
    );
    this.over = new Promise((resolve) => {
      this.#onOver = resolve;
    });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Lets the producer work. What it does is over when the run is, not when this returns. */
  begin(produce: (run: Run) => unknown): void {
    this.#durationTimer = setTimeout(() => void this.#end(TIMEOUT), this.#options.maxDurationMs);
    void this.#produce(produce);
  }

  text(chunk: string): Promise<void> {
    if (typeof chunk !== "string") {
      return Promise.reject(new EverstreamError("INVALID_EVENT", "A run's text must be a string."));
    }
    if (chunk === "") return this.#writer.ready();
    if (this.#exceeds(chunk.length)) return rejection(TOO_LARGE);
    return this.#writer.text(chunk);
  }

  send(type: string, data?: unknown): Promise<void> {
    let event: PublishedEvent;
    let size: number;
    try {
      ({ event, size } = ownEvent(type, data));
    } catch (error) {
      return Promise.reject(error);
    }
    if (this.#exceeds(size)) return rejection(TOO_LARGE);
    return this.#writer.send(event, size);
  }

  step(name: string): Promise<void> {
    if (typeof name !== "string")
      return Promise.reject(invalidOption("A step's name must be a string, which clients are shown."));
    const sent = this.#progress.step(name);
    sent.catch(() => undefined);
    return sent;
  }

  progress(progress: StepProgress): void {
    this.#progress.report(progress);
  }

  meta(values: Readonly<Record<string, unknown>>): void {
    assertObject("values", values);
    this.#meta = { ...this.#meta, ...values };
  }

  /** Ends it as stopped. May be called twice. Resolves once it is over. */
  stop(): Promise<void> {
    void this.#end(STOPPED);
    return this.over;
  }

  /** Ends it as abandoned: its process goes. */
  abandon(): Promise<void> {
    void this.#end(ABANDONED);
    return this.over;
  }

  /** Leaves it, as it stands, to another process. */
  async leave(): Promise<void> {
    if (this.#ending) return this.over;
    this.#ending = true;
    const left = this.#writer.leave();
    this.#abort("This process leaves its runs to others.");
    await left;
    this.#settle(false);
  }

  /** Another process has it, or nothing can be written any more. */
  lose(why: unknown): void {
    if (this.#ending) return;
    this.#ending = true;
    this.#abort("This process has lost its run.", why);
    this.#settle(false);
  }

  /** Says whether anybody reads it. */
  setWatched(isWatched: boolean): void {
    const { stopAfterMs, firstReaderMs } = this.#options;
    if (stopAfterMs === undefined || isWatched === this.#isWatched || this.#ending) return;
    const patienceMs = this.#isWatched === undefined ? Math.max(stopAfterMs, firstReaderMs) : stopAfterMs;
    this.#isWatched = isWatched;
    clearTimeout(this.#unwatchedTimer);
    if (!isWatched) this.#unwatchedTimer = setTimeout(() => void this.#end(STOPPED), patienceMs);
  }

  async #produce(produce: (run: Run) => unknown): Promise<void> {
    try {
      const result = await produce(this);
      await this.#end({ state: "done", result: { ...this.#meta, ...(isPlainObject(result) && result) } });
    } catch (error) {
      // After the end, what a producer throws is how it came to its own.
      if (this.#ending) return;
      await this.#end({ state: "error", error: this.#options.explain(error) ?? MASKED_ERROR });
    }
  }

  async #end(ending: Ending): Promise<void> {
    if (this.#ending) return;
    this.#ending = true;
    const progress = this.#progress.end(ending.state === "done");
    if (progress !== undefined) void this.#writer.send({ type: PROGRESS_EVENT, data: progress }, 0);
    const ended = this.#writer.end(endingEvent(ending), endingEvent({ state: "error", error: MASKED_ERROR }));
    if (ending.state !== "done") this.#abort(ending.error?.message ?? "This run has ended.");
    this.#settle(await ended);
  }

  #exceeds(size: number): boolean {
    this.#written += size;
    if (this.#written <= this.#options.maxOutput) return false;
    void this.#end(TOO_LARGE);
    return true;
  }

  #abort(message: string, cause?: unknown): void {
    this.#controller.abort(new EverstreamError("STREAM_ENDED", message, { cause }));
  }

  #settle(isEnded: boolean): void {
    clearTimeout(this.#durationTimer);
    clearTimeout(this.#unwatchedTimer);
    this.#progress.end(false);
    void this.#options.onOver(isEnded).finally(() => this.#onOver());
  }
}

/** The types that a run writes itself. */
const OWN_TYPES: readonly string[] = [DONE_EVENT, ERROR_EVENT, RUN_EVENT];

/** A producer's event, as it is at this moment. */
function ownEvent(type: string, data: unknown): { event: PublishedEvent; size: number } {
  assertUserEventType(type);
  if (OWN_TYPES.includes(type)) {
    throw new EverstreamError(
      "RESERVED_TYPE",
      `The event type "${type}" is a run's own; choose another one.`,
    );
  }
  if (data === undefined) return { event: { type }, size: type.length };
  let json: string | undefined;
  try {
    json = JSON.stringify(data);
  } catch (cause) {
    throw new EverstreamError("NOT_SERIALIZABLE", "`data` has no JSON form; send plain data.", { cause });
  }
  if (json === undefined)
    throw new EverstreamError("NOT_SERIALIZABLE", "`data` has no JSON form; send plain data.");
  return { event: { type, data: JSON.parse(json) }, size: type.length + json.length };
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function rejection({ error }: Ending): Promise<void> {
  const promise = Promise.reject(new EverstreamError("STREAM_ENDED", error?.message ?? "This run is over."));
  promise.catch(() => undefined);
  return promise;
}
