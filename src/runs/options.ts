import { EverstreamError, invalidOption } from "../errors.ts";
import { assertHub, type Hub } from "../hub/index.ts";
import { assertCallback, assertFunction, assertOptions, hasMethod, type NamesOf } from "../input.ts";
import type { ErrorData } from "../protocol/index.ts";
import { STREAM_NAMES } from "../session/options.ts";
import type { JoinOptions } from "./join.ts";
import { type StepShares, stepShares } from "./progress.ts";
import type { Produce, RunInfo, StartOptions, WhenUnwatched } from "./types.ts";

/** Options of `createRuns`. All times are in milliseconds. */
export interface RunsOptions {
  /** Whose log the runs live in. */
  hub: Hub;
  /** The beginning of the topics' names: a run's topic is `<namespace>:<id>`. Default: `run`. */
  namespace?: string;
  /**
   * How long a process may be silent before its runs are taken for abandoned. The same on all servers of a log.
   * Default: 15,000.
   */
  lease?: number;
  /** How long a run can be joined after its end. Default: 3,600,000 (an hour). */
  keepFor?: number;
  /** After which time a run is ended with the code `timeout`. Default: 3,600,000. */
  maxDuration?: number;
  /** How many characters a run may write, after which it is ended with the code `too_large`. Default: 4,194,304. */
  maxOutput?: number;
  /** How long a client that is ahead of its run's start waits for it. Default: 2,000. */
  joinWait?: number;
  /**
   * Asked when a run's producer is gone, in one of the processes that are left: it may give a producer that goes on with
   * the same stream after the text that is there. Without one the run ends as `abandoned`.
   */
  onAbandoned?: (run: RunInfo, textSoFar: string) => Produce | undefined | Promise<Produce | undefined>;
  /**
   * Told of what a producer threw. Clients are told what it returns, or else the code of a model's provider that failed, or
   * else only that there was an error. Default: the error goes to the console.
   */
  onError?: (error: unknown, run: RunInfo) => ErrorData | undefined;
}

export interface RunsSettings {
  readonly namespace: string;
  readonly leaseMs: number;
  readonly keepForMs: number;
  readonly maxDurationMs: number;
  readonly maxOutput: number;
  readonly joinWaitMs: number;
}

const RUNS_NAMES: NamesOf<RunsOptions> = {
  hub: true,
  namespace: true,
  lease: true,
  keepFor: true,
  maxDuration: true,
  maxOutput: true,
  joinWait: true,
  onAbandoned: true,
  onError: true,
};
const START_NAMES: NamesOf<StartOptions> = {
  id: true,
  key: true,
  onBusy: true,
  input: true,
  steps: true,
  produce: true,
  whenUnwatched: true,
};
const UNWATCHED_NAMES: NamesOf<Exclude<WhenUnwatched, string>> = { stopAfterMs: true };
const JOIN_NAMES: NamesOf<JoinOptions> = {
  authorize: true,
  expiresAt: true,
  maxSessionAge: true,
  retry: true,
  key: true,
  headers: true,
  ...STREAM_NAMES,
};

const HOUR_MS = 60 * 60 * 1000;
/** The longest delay that timers hold. */
const MAX_DELAY_MS = 2 ** 31 - 1;
/** Renewals need a few turns of a clock that ticks every 100 ms. */
const MIN_LEASE_MS = 300;
const MAX_KEY_LENGTH = 256;
const MAX_INPUT_LENGTH = 65_536;
const ID = /^[\x21-\x7e]{1,128}$/;
/** What a namespace takes of the 256 bytes of a topic's name, at the most. */
const NAMESPACE = /^[\x21-\x7e]{1,64}$/;

/** @throws EverstreamError `INVALID_OPTION`. */
export function runsSettings(options: RunsOptions): RunsSettings {
  assertOptions("options", options, RUNS_NAMES);
  const {
    namespace = "run",
    lease = 15_000,
    keepFor = HOUR_MS,
    maxDuration = HOUR_MS,
    maxOutput = 4 * 1024 * 1024,
    joinWait = 2000,
  } = options;
  assertHub(options.hub);
  assertCallback("onAbandoned", options.onAbandoned);
  assertCallback("onError", options.onError);
  if (typeof namespace !== "string" || !NAMESPACE.test(namespace))
    throw invalidOption("`namespace` must be 1 to 64 printable characters of ASCII.");
  return {
    namespace,
    leaseMs: amount("lease", lease, MIN_LEASE_MS, MAX_DELAY_MS),
    keepForMs: amount("keepFor", keepFor, 1, Number.MAX_SAFE_INTEGER),
    maxDurationMs: amount("maxDuration", maxDuration, 1, MAX_DELAY_MS),
    maxOutput: amount("maxOutput", maxOutput, 1, Number.MAX_SAFE_INTEGER),
    joinWaitMs: amount("joinWait", joinWait, 0, MAX_DELAY_MS),
  };
}

/** @throws EverstreamError `INVALID_OPTION`. */
export function assertRuns(runs: unknown): void {
  if (!hasMethod(runs, "holder")) throw invalidOption("`runs` must be runs, as `createRuns()` makes them.");
}

/** Whether a text can be a run's id. */
export function isRunId(id: unknown): id is string {
  return typeof id === "string" && ID.test(id);
}

/** @throws EverstreamError `INVALID_OPTION`. */
export function assertRunId(id: unknown): asserts id is string {
  if (!isRunId(id)) throw invalidOption("A run's `id` must be 1 to 128 printable characters of ASCII.");
}

/** @throws EverstreamError `INVALID_OPTION`. */
export function assertKey(key: unknown): void {
  if (typeof key === "string" && key !== "" && key.length <= MAX_KEY_LENGTH) return;
  throw invalidOption(`A run's \`key\` must be a string of 1 to ${MAX_KEY_LENGTH} characters.`);
}

/** @throws EverstreamError `INVALID_OPTION`. */
export function assertJoinOptions(options: JoinOptions): void {
  assertOptions("options", options, JOIN_NAMES);
  assertCallback("authorize", options.authorize);
}

/** {@link StartOptions}, checked and complete. */
export interface StartSettings {
  readonly id: string;
  readonly key: string | undefined;
  readonly replace: boolean;
  readonly input: unknown;
  readonly shares: StepShares;
  readonly produce: Produce;
  readonly stopAfterMs: number | undefined;
}

/** @throws EverstreamError `INVALID_OPTION`, `NOT_SERIALIZABLE` for the input. */
export function startSettings(options: StartOptions): StartSettings {
  assertOptions("options", options, START_NAMES);
  const { id = crypto.randomUUID(), key, onBusy = "refuse", produce } = options;
  assertRunId(id);
  if (key !== undefined) assertKey(key);
  if (onBusy !== "refuse" && onBusy !== "replace")
    throw invalidOption('`onBusy` must be "refuse" or "replace".');
  assertFunction("produce", produce);
  const { whenUnwatched = "continue" } = options;
  if (whenUnwatched !== "continue") assertOptions("whenUnwatched", whenUnwatched, UNWATCHED_NAMES);
  const stopAfterMs =
    whenUnwatched === "continue"
      ? undefined
      : amount("whenUnwatched.stopAfterMs", whenUnwatched.stopAfterMs, 0, MAX_DELAY_MS);
  return {
    id,
    key,
    replace: onBusy === "replace",
    input: plain(options.input),
    shares: stepShares(options.steps),
    produce,
    stopAfterMs,
  };
}

/** A copy, as the log will give it back. */
function plain(input: unknown): unknown {
  if (input === undefined) return undefined;
  let json: string | undefined;
  try {
    json = JSON.stringify(input);
  } catch (cause) {
    throw new EverstreamError("NOT_SERIALIZABLE", "A run's `input` has no JSON form.", { cause });
  }
  if (json === undefined) throw new EverstreamError("NOT_SERIALIZABLE", "A run's `input` has no JSON form.");
  if (json.length > MAX_INPUT_LENGTH) {
    throw invalidOption(
      `A run's \`input\` may take ${MAX_INPUT_LENGTH} characters as JSON, but takes ${json.length}.`,
    );
  }
  return JSON.parse(json);
}

function amount(name: string, value: number, min: number, max: number): number {
  if (typeof value === "number" && value >= min && value <= max) return value;
  throw invalidOption(`\`${name}\` is ${String(value)}, but must be a number from ${min} to ${max}.`);
}
