import { invalidOption } from "../errors.ts";
import { assertObject, assertOptions, hasMethod, type NamesOf } from "../input.ts";
import { DONE_EVENT, ERROR_EVENT, type ErrorData, PROGRESS_EVENT } from "../protocol/wire.ts";
import { type ProgressStep, weightedSteps } from "./progress-steps.ts";

/** What {@link createProgress} reports to: anything that sends typed events, as the streams of this package do. */
export interface ProgressTarget {
  send(type: string, data: unknown): Promise<void>;
}

/** Options of {@link createProgress}. */
export interface ProgressOptions<Name extends string = string> {
  /** The steps in their order: names, or names with weights. */
  readonly steps: readonly (Name | ProgressStep<Name>)[];
  /** Within one step, the least time between two events, in milliseconds. Default 100. */
  readonly minInterval?: number;
}

/** How far a step has come: a fraction from 0 to 1, or a count. */
export type StepProgress = number | { readonly done: number; readonly total: number; readonly unit?: string };

/** The data of a `progress` event. */
export interface ProgressData {
  step: string;
  /** How far the whole work has come, in percent. 100 only when nothing is left. */
  progress: number;
  /** The count within the step, where the work counts. */
  done?: number;
  total?: number;
  unit?: string;
}

/**
 * Reports the progress of long work as events: `progress` with {@link ProgressData} while it goes on, then `done` or
 * `error`, once.
 *
 * `step`, `done` and `fail` send, and reject as the stream's `send` does when it has ended: work that awaits them stops
 * by itself. `report` may be called as often as the work likes; it sends at most one event per interval, always the
 * latest state, and never throws for a stream that has ended.
 */
export interface Progress<Name extends string = string> {
  /** Begins a step. Sent at once. */
  step(name: Name): Promise<void>;
  /**
   * Tells how far the current step has come. The percentage never falls: a smaller figure than before is not shown.
   *
   * @throws EverstreamError `INVALID_OPTION` when a figure is not finite.
   */
  report(progress: StepProgress): void;
  /** Everything is done: sends the last step at 100 percent, then `done` with `data`. */
  done(data?: unknown): Promise<void>;
  /**
   * The work has failed: sends the last state, then `error`. The message is shown to the client.
   *
   * @throws EverstreamError (as a rejection) `INVALID_OPTION` for an error without a code or a message.
   */
  fail(error: ErrorData): Promise<void>;
}

const PROGRESS_NAMES: NamesOf<ProgressOptions> = { steps: true, minInterval: true };
const DEFAULT_INTERVAL_MS = 100;

/**
 * Tells over a stream how far work of several steps has come: `progress` events at a sane rate that never go backwards,
 * then one `done` or `error`.
 *
 * @throws EverstreamError `INVALID_OPTION` for a stream that can't `send`, no steps, a step named twice, or a weight or interval
 * that is negative or not finite.
 */
export function createProgress<Name extends string>(
  stream: ProgressTarget,
  options: ProgressOptions<Name>,
): Progress<Name> {
  return new ProgressReporter(stream, options);
}

/** A step's place in the whole. Kept in units of weight, whose sums are exact where those of fractions are not. */
interface Span {
  readonly name: string;
  readonly before: number;
  readonly weight: number;
}

class ProgressReporter<Name extends string> implements Progress<Name> {
  readonly #stream: ProgressTarget;
  readonly #spans: ReadonlyMap<string, Span>;
  readonly #last: Span;
  readonly #total: number;
  readonly #minIntervalMs: number;
  #current: Span;
  #state: ProgressData;
  /** How far the whole has come, from 0 to 1; it only grows. */
  #reached = 0;
  /** The state changed since it was last sent. */
  #dirty = false;
  #sentAt = Number.NEGATIVE_INFINITY;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** A report is on its way; the next waits for it, so that a slow client gets fewer events, not a queue of them. */
  #sending = false;
  #ended = false;

  constructor(stream: ProgressTarget, options: ProgressOptions<Name>) {
    if (!hasMethod(stream, "send"))
      throw invalidOption("`stream` must have a method `send`, as a handler's stream does.");
    assertOptions("options", options, PROGRESS_NAMES);
    const { steps, minInterval = DEFAULT_INTERVAL_MS } = options;
    if (!Number.isFinite(minInterval) || minInterval < 0)
      throw invalidOption(`minInterval must be a finite number of 0 or more, not ${minInterval}.`);
    const spans = spansOf(steps);
    this.#stream = stream;
    this.#spans = new Map(spans.map((span) => [span.name, span]));
    this.#minIntervalMs = minInterval;
    this.#current = spans[0] as Span;
    this.#last = spans.at(-1) as Span;
    this.#total = this.#last.before + this.#last.weight;
    this.#state = { step: this.#current.name, progress: 0 };
  }

  async step(name: Name): Promise<void> {
    const span = this.#spans.get(name);
    if (span === undefined) {
      const known = [...this.#spans.keys()].join(", ");
      throw invalidOption(`There is no step "${name}"; the steps are ${known}.`);
    }
    if (this.#ended) return;
    this.#moveTo(span, 0, {});
    await this.#send();
  }

  report(progress: StepProgress): void {
    const { fraction, count } = readProgress(progress);
    if (this.#ended) return;
    this.#moveTo(this.#current, fraction, count);
    this.#schedule();
  }

  async done(data: unknown = {}): Promise<void> {
    if (this.#ended) return;
    this.#moveTo(this.#last, 1, {});
    await this.#end(DONE_EVENT, data);
  }

  async fail(error: ErrorData): Promise<void> {
    const { code, message } = Object(error) as ErrorData;
    if (typeof code !== "string" || typeof message !== "string")
      throw invalidOption("`error` must have a `code` and a `message` that the client may see.");
    if (this.#ended) return;
    await this.#end(ERROR_EVENT, { code, message });
  }

  async #end(type: string, data: unknown): Promise<void> {
    this.#ended = true;
    this.#stopTimer();
    if (this.#dirty) await this.#send();
    await this.#stream.send(type, data);
  }

  #moveTo(span: Span, fraction: number, count: Partial<ProgressData>): void {
    // Steps that all weigh nothing leave the whole at 0 until it is done.
    const reached =
      this.#total === 0 ? Math.floor(fraction) : (span.before + span.weight * fraction) / this.#total;
    const falls = reached < this.#reached;
    // Work that is done again is named, but moves the bar only when it gets further than before.
    if (falls && span === this.#current) return;
    this.#current = span;
    this.#reached = Math.max(this.#reached, reached);
    const state = { step: span.name, progress: percent(this.#reached), ...count };
    this.#dirty ||= !same(this.#state, state);
    this.#state = state;
  }

  #schedule(): void {
    if (!this.#dirty || this.#sending || this.#timer !== undefined) return;
    const wait = this.#sentAt + this.#minIntervalMs - performance.now();
    if (wait <= 0) this.#sendReport();
    else {
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        this.#sendReport();
      }, wait);
    }
  }

  #sendReport(): void {
    this.#sending = true;
    this.#send().then(
      () => {
        this.#sending = false;
        if (!this.#ended) this.#schedule();
      },
      // If the stream has ended, the work hears of it at its next step, or by its signal.
      () => {
        this.#sending = false;
        this.#stopTimer();
      },
    );
  }

  #send(): Promise<void> {
    this.#stopTimer();
    this.#dirty = false;
    this.#sentAt = performance.now();
    return this.#stream.send(PROGRESS_EVENT, this.#state);
  }

  #stopTimer(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

function spansOf(steps: readonly (string | ProgressStep)[]): Span[] {
  const weighted = weightedSteps(steps);
  if (weighted.length === 0) throw invalidOption("Progress needs at least one step.");
  let before = 0;
  return weighted.map(({ name, weight }) => {
    const span = { name, before, weight };
    before += weight;
    return span;
  });
}

function readProgress(progress: StepProgress): { fraction: number; count: Partial<ProgressData> } {
  if (typeof progress === "number") return { fraction: clamp(finite(progress, "The fraction")), count: {} };
  assertObject("progress", progress);
  const { done, total, unit } = progress;
  finite(done, "done");
  finite(total, "total");
  // Nothing to do is all done: an empty file has come to its end.
  const fraction = total <= 0 ? 1 : clamp(done / total);
  return { fraction, count: unit === undefined ? { done, total } : { done, total, unit } };
}

/** To a tenth, which is finer than any bar shows. Rounding must not tell of an end that has not come. */
function percent(fraction: number): number {
  if (fraction >= 1) return 100;
  return Math.min(Math.round(fraction * 1000) / 10, 99.9);
}

function same(a: ProgressData, b: ProgressData): boolean {
  return a.step === b.step && a.progress === b.progress && a.done === b.done && a.total === b.total;
}

function clamp(fraction: number): number {
  return Math.min(Math.max(fraction, 0), 1);
}

function finite(value: number, name: string): number {
  if (!Number.isFinite(value))
    throw invalidOption(`${name} of a progress report must be a finite number, not ${value}.`);
  return value;
}
