import { invalidOption } from "../errors.ts";
import { assertObject } from "../input.ts";
import type { ProgressData, StepProgress } from "../session/progress.ts";
import { type ProgressStep, weightedSteps } from "../session/progress-steps.ts";

/** The data of a run's `progress` events. */
export interface RunProgressData extends ProgressData {
  /** How long the rest will take, in milliseconds, if it goes on as it did; left out while nobody can tell. */
  etaMs?: number;
}

/** A step's place in the whole: what is done before it, and its own part, of 1. */
interface StepShare {
  readonly before: number;
  readonly share: number;
}

/** By the steps' names, in their order. */
export type StepShares = ReadonlyMap<string, StepShare>;

const INTERVAL_MS = 100;
/** Before so much is done, an estimate would be a guess. */
const MIN_SHARE = 0.02;

/**
 * How far a run has come. Steps that were named at the start have their shares of the whole; without them a step is only
 * a name, and what is reported is the whole. At most one event for each interval, always with the latest state, and the
 * percentage never falls.
 */
export class RunProgress {
  readonly #send: (data: RunProgressData) => Promise<void>;
  readonly #shares: StepShares;
  /** What was done before this process had the work. */
  readonly #inherited: number;
  #step = "";
  #before = 0;
  #share = 1;
  #reached: number;
  #count: Pick<ProgressData, "done" | "total" | "unit"> = {};
  #begunAt = performance.now();
  #sentAt = Number.NEGATIVE_INFINITY;
  #sent = "";
  #timer: ReturnType<typeof setTimeout> | undefined;
  #used = false;
  /** One is on its way; the next waits for it, so that a slow log gets fewer, not a queue of them. */
  #sending = false;
  #ended = false;

  /** @param inherited How far another process had come with it, of 1. */
  constructor(shares: StepShares, inherited: number, send: (data: RunProgressData) => Promise<void>) {
    this.#send = send;
    this.#shares = shares;
    this.#inherited = inherited;
    this.#reached = inherited;
    const first = shares.entries().next().value;
    // Progress that names no step is the first one's.
    if (first !== undefined) [this.#step, { share: this.#share }] = first;
  }

  step(name: string): Promise<void> {
    const { before, share } = this.#shares.get(name) ?? {
      before: this.#shares.size === 0 ? 0 : this.#reached,
      share: this.#shares.size === 0 ? 1 : 0,
    };
    this.#begin();
    this.#step = name;
    this.#before = before;
    this.#share = share;
    this.#reached = Math.max(this.#reached, before);
    this.#count = {};
    return this.#sendNow();
  }

  report(progress: StepProgress): void {
    const { fraction, count } = read(progress);
    this.#begin();
    const reached = this.#before + this.#share * fraction;
    // Work that is done again shows only once it gets further than before.
    if (reached < this.#reached) return;
    this.#reached = reached;
    this.#count = count;
    this.#schedule();
  }

  /** The last state, where it was not sent; of work that is done, the whole. Sends nothing more itself. */
  end(isDone: boolean): RunProgressData | undefined {
    clearTimeout(this.#timer);
    this.#ended = true;
    if (!this.#used) return undefined;
    if (isDone) this.#reached = 1;
    const data = this.#data();
    return JSON.stringify(data) === this.#sent ? undefined : data;
  }

  #begin(): void {
    if (!this.#used) this.#begunAt = performance.now();
    this.#used = true;
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#sending || this.#ended) return;
    const waitMs = this.#sentAt + INTERVAL_MS - performance.now();
    if (waitMs <= 0) this.#sendReport();
    else this.#timer = setTimeout(() => this.#sendReport(), waitMs);
  }

  #sendReport(): void {
    this.#sending = true;
    const reached = this.#reached;
    this.#sendNow().then(
      () => {
        this.#sending = false;
        if (this.#reached > reached) this.#schedule();
      },
      // The log refused this one: the next report is sent again. If the run is over, the work hears of it by its signal.
      () => {
        this.#sending = false;
      },
    );
  }

  async #sendNow(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const data = this.#data();
    this.#sent = JSON.stringify(data);
    this.#sentAt = performance.now();
    await this.#send(data);
  }

  #data(): RunProgressData {
    const data: RunProgressData = {
      step: this.#step,
      progress: percent(this.#reached),
      ...this.#count,
    };
    const own = this.#reached - this.#inherited;
    if (own >= MIN_SHARE && this.#reached < 1) {
      const perShare = (performance.now() - this.#begunAt) / own;
      data.etaMs = Math.round(perShare * (1 - this.#reached));
    }
    return data;
  }
}

/**
 * The steps' places in the whole.
 *
 * @throws EverstreamError `INVALID_OPTION`.
 */
export function stepShares(steps: readonly (string | ProgressStep)[] = []): StepShares {
  const weighted = weightedSteps(steps);
  const total = weighted.reduce((sum, { weight }) => sum + weight, 0);
  if (weighted.length > 0 && !(total > 0 && Number.isFinite(total)))
    throw invalidOption("The weights of `steps` must not all be 0, nor be infinite together.");
  const shares = new Map<string, StepShare>();
  let before = 0;
  for (const { name, weight } of weighted) {
    shares.set(name, { before: before / total, share: weight / total });
    before += weight;
  }
  return shares;
}

/** How far a run has come by a `progress` event, of 1; nothing where that is an event of the developer's own. */
export function reachedBy(data: unknown): number {
  const { progress } = Object(data) as { progress?: unknown };
  return typeof progress === "number" && progress >= 0 ? Math.min(progress / 100, 1) : 0;
}

function read(progress: StepProgress): {
  fraction: number;
  count: Pick<ProgressData, "done" | "total" | "unit">;
} {
  if (typeof progress === "number") return { fraction: clamp(finite(progress)), count: {} };
  assertObject("progress", progress);
  const { done, total, unit } = progress;
  // Nothing to do is all done.
  const fraction = finite(total) <= 0 ? 1 : clamp(finite(done) / total);
  return { fraction, count: unit === undefined ? { done, total } : { done, total, unit } };
}

/** To a tenth. Rounding must not tell of an end that has not come. */
function percent(share: number): number {
  return share >= 1 ? 100 : Math.min(Math.round(share * 1000) / 10, 99.9);
}

function clamp(fraction: number): number {
  return Math.min(Math.max(fraction, 0), 1);
}

function finite(value: number): number {
  if (Number.isFinite(value)) return value;
  throw invalidOption(`A progress must be a finite number, but is ${String(value)}.`);
}
