import type { ErrorData } from "../protocol/index.ts";
import type { StepProgress } from "../session/progress.ts";
import type { ProgressStep } from "../session/progress-steps.ts";

/**
 * How it stands with a run: it is `running`; its producer came to its end (`done`), failed or took too much (`error`);
 * somebody asked for its end (`stopped`); its producer's process died or lost its lease (`abandoned`).
 */
export type RunState = "running" | "done" | "error" | "stopped" | "abandoned";

/** What is known of a run. */
export interface RunInfo {
  readonly id: string;
  readonly state: RunState;
  /** What it has to itself while it runs: a conversation, as it may be. */
  readonly key: string | undefined;
  /** What it was started with. Clients do not see it. */
  readonly input: unknown;
  /** In milliseconds, as `Date.now()` gives them. */
  readonly startedAt: number;
  readonly endedAt: number | undefined;
  /** What clients are told of an end that is not `done`. */
  readonly error: ErrorData | undefined;
  /** What `done` carries. */
  readonly result: Readonly<Record<string, unknown>> | undefined;
}

/** What the log says of an id. */
export type FoundRun =
  | { readonly kind: "run"; readonly info: RunInfo }
  /** There was a run, and it is no longer kept. */
  | { readonly kind: "expired" }
  | { readonly kind: "unknown" };

/** A run as its producer sees it. Writes reject with `STREAM_ENDED` once the run is over; nobody has to catch that. */
export interface Run {
  readonly id: string;
  readonly key: string | undefined;
  readonly input: unknown;
  /** Aborted when the run ends before its producer does: hand it to whatever the producer waits for. */
  readonly signal: AbortSignal;
  /**
   * Writes a piece of text, as part of a `token` event. Pieces are joined for a moment before they go to the log. It
   * resolves when there is room for more, and need not be awaited.
   */
  text(chunk: string): Promise<void>;
  /**
   * Writes an event of its own. Resolves when the log has it.
   *
   * @throws EverstreamError `RESERVED_TYPE` for `done`, `error`, `run` and types that begin with `sse:`; `NOT_SERIALIZABLE`,
   *   `INVALID_EVENT`, `EVENT_TOO_LARGE` for the event.
   */
  send(type: string, data?: unknown): Promise<void>;
  /**
   * Begins a step, by a name that clients are shown. Sent at once.
   *
   * @throws EverstreamError (as a rejection) `INVALID_OPTION` for a name that is no string.
   */
  step(name: string): Promise<void>;
  /**
   * Tells how far the step has come, or the whole, where no `steps` were named. At most ten are sent a second, always
   * the latest; the percentage never falls.
   *
   * @throws EverstreamError `INVALID_OPTION` for a figure that is not finite.
   */
  progress(progress: StepProgress): void;
  /**
   * Adds to what `done` will carry: what the answer cost, its title. Later values win.
   *
   * @throws EverstreamError `INVALID_OPTION` for what is no object.
   */
  meta(values: Readonly<Record<string, unknown>>): void;
}

/** Does the work. What it returns, if it is a plain object, is added to what `done` carries. */
export type Produce = (run: Run) => unknown;

/**
 * What is to happen once all clients have left: going on, or stopping when none has come back for so long. The first may
 * take `joinWait` to come. Clients that a server has sent away, or that it cut off, have not left.
 */
export type WhenUnwatched = "continue" | { readonly stopAfterMs: number };

/** Options of `runs.start`. */
export interface StartOptions {
  /**
   * Chosen by whoever asks for the work, so that asking twice starts it once: 1 to 128 printable characters of ASCII.
   * Default: a random one.
   */
  id?: string | undefined;
  /** Only one run at a time has the same key. At most 256 characters. */
  key?: string | undefined;
  /** What to do when another run has the key: fail with `RUN_BUSY`, or stop that one. Default: `refuse`. */
  onBusy?: "refuse" | "replace";
  /** Any JSON value, kept with the run for the producer, `authorize` and `onAbandoned`. At most 65,536 characters as JSON. */
  input?: unknown;
  /** The steps of the work in their order, with their shares of the whole, where its progress counts by steps. */
  steps?: readonly (string | ProgressStep)[];
  produce: Produce;
  /** Default: `continue`. */
  whenUnwatched?: WhenUnwatched;
}

/** What `runs.start` gives. */
export interface StartedRun {
  readonly id: string;
  readonly state: RunState;
  /** The run was there already; nothing was started. */
  readonly joined: boolean;
}
