import { invalidOption } from "../errors.ts";
import { assertOptions, type NamesOf } from "../input.ts";
import { joinPulse, leavePulse, PulseMember } from "../session/pulse.ts";
import type { LogEntry } from "./log.ts";
import { sizeOf } from "./log.ts";
import type { Reader } from "./reader.ts";

/**
 * What becomes of a reader that takes events more slowly than they are published.
 *
 * - `resume`: it gets everything, read from the log, as long as the log keeps it.
 * - `dropOldest`: what waits longest is left out, and an `sse:gap` (`overflow`) says so.
 * - `latestByKey`: of what it fell behind by it gets the newest event of each `key`, and those without one. The topic is
 *   lossy by declaration: no gap is told.
 * - `disconnect`: it is cut off, as `slow`. A client comes back with its position and resumes; a loop fails with `OVERFLOW`.
 */
export type SlowPolicy = "resume" | "dropOldest" | "latestByKey" | "disconnect";

/** A policy, and from how many bytes on that wait for a reader it holds. */
export interface SlowConsumer {
  policy: SlowPolicy;
  /** Default: `limits.maxWaitingBytes`. */
  maxBytes?: number;
}

/** The `slowConsumer` option of a hub: for all topics, or by topic. Default: `resume`. */
export type SlowConsumerOption = SlowPolicy | SlowConsumer | ((topic: string) => SlowPolicy | SlowConsumer);

/** What one topic's readers are treated by. */
interface TopicPolicy {
  readonly policy: SlowPolicy;
  readonly maxBytes: number;
}

/**
 * How long a reader may be behind before a policy holds, in milliseconds. A burst passes every reader for a moment; slow is
 * who does not catch up.
 */
const PATIENCE_MS = 100;
/** What is read ahead for one round of `latestByKey`, at the most. */
const MAX_ROUND_BYTES = 1024 * 1024;
const SLOW_NAMES: NamesOf<SlowConsumer> = { policy: true, maxBytes: true };
const POLICIES: ReadonlySet<unknown> = new Set<SlowPolicy>([
  "resume",
  "dropOldest",
  "latestByKey",
  "disconnect",
]);

/**
 * Makes of the option what one set of topics is treated by.
 *
 * @throws EverstreamError `INVALID_OPTION`; for a function, when a topic is first read.
 */
export function slowPoliciesOf(
  option: SlowConsumerOption = "resume",
  maxWaitingBytes: number,
): (topics: readonly string[]) => SlowPolicies {
  const check = (given: SlowPolicy | SlowConsumer): TopicPolicy => topicPolicy(given, maxWaitingBytes);
  if (typeof option === "function") {
    return (topics) => new SlowPolicies(new Map(topics.map((topic) => [topic, check(option(topic))])));
  }
  const policy = check(option);
  return (topics) => new SlowPolicies(new Map(topics.map((topic) => [topic, policy])));
}

function topicPolicy(given: SlowPolicy | SlowConsumer, maxWaitingBytes: number): TopicPolicy {
  if (typeof given !== "string" && (typeof given !== "object" || given === null)) {
    throw invalidOption(
      `\`slowConsumer\` gave ${String(given)}, but must give a policy, or an object with one.`,
    );
  }
  if (typeof given === "object") assertOptions("slowConsumer", given, SLOW_NAMES);
  const { policy, maxBytes = maxWaitingBytes } = typeof given === "string" ? { policy: given } : given;
  if (!POLICIES.has(policy)) {
    const known = [...POLICIES].join(", ");
    throw invalidOption(
      `\`slowConsumer\` has the policy ${JSON.stringify(policy)}, but must have one of ${known}.`,
    );
  }
  if (!(typeof maxBytes === "number" && maxBytes >= 0)) {
    throw invalidOption(`\`slowConsumer.maxBytes\` is ${String(maxBytes)}, but must be a number from 0 up.`);
  }
  return { policy, maxBytes };
}

/**
 * How the slow among the readers of one set of topics are treated, and who is behind. Most of it holds when a reader has
 * room again; who has none is cut off at a pass of what is published, or, where nothing is any more, by the clock.
 */
export class SlowPolicies extends PulseMember {
  /** How much waits for them before anybody is slow: the most that any topic allows. */
  readonly maxBytes: number;
  /** Whether anything but `resume` is among them. */
  readonly differ: boolean;
  readonly #cuts: boolean;
  readonly #byTopic: ReadonlyMap<string, TopicPolicy>;
  /** Since when readers have not been up to date that were full at some time since. */
  readonly #behindSince = new Map<Reader, number>();

  constructor(byTopic: ReadonlyMap<string, TopicPolicy>) {
    super();
    const policies = [...byTopic.values()];
    this.#byTopic = byTopic;
    this.maxBytes = Math.max(0, ...policies.map(({ maxBytes }) => maxBytes));
    this.differ = policies.some(({ policy }) => policy !== "resume");
    this.#cuts = policies.some(({ policy }) => policy === "disconnect");
  }

  of(topic: string): SlowPolicy {
    return this.#byTopic.get(topic)?.policy ?? "resume";
  }

  /** The reader has no room, and something waits for it. */
  noteFull(reader: Reader): void {
    if (this.#behindSince.has(reader)) return;
    this.#behindSince.set(reader, performance.now());
    if (this.#cuts && this.#behindSince.size === 1) joinPulse(this, PATIENCE_MS);
  }

  /** The reader is up to date, or gone. */
  forget(reader: Reader): void {
    if (this.#behindSince.delete(reader) && this.#behindSince.size === 0) leavePulse(this);
  }

  isSlow(reader: Reader): boolean {
    const since = this.#behindSince.get(reader);
    return since !== undefined && performance.now() - since >= PATIENCE_MS;
  }

  /** @internal */
  override onPulse(): number {
    for (const reader of [...this.#behindSince.keys()]) reader.lookIfSlow();
    return this.#behindSince.size > 0 ? PATIENCE_MS : 0;
  }
}

/** What is left of a stretch of the log where only the newest event of each key counts. */
export class LatestByKey {
  readonly #policies: SlowPolicies;
  readonly #entries = new Map<string | number, LogEntry>();
  /** The topics of which something was left out. */
  readonly thinned = new Set<string>();
  #bytes = 0;
  #read = 0;

  constructor(policies: SlowPolicies) {
    this.#policies = policies;
  }

  /** Whether enough was read for one round. */
  get isFull(): boolean {
    return this.#bytes >= MAX_ROUND_BYTES || this.#read >= 64 * MAX_ROUND_BYTES;
  }

  /** What is left, in order. */
  get entries(): LogEntry[] {
    return [...this.#entries.values()];
  }

  add(entry: LogEntry): void {
    const { topic, event, sequence } = entry;
    const isKeyed = event.key !== undefined && this.#policies.of(topic) === "latestByKey";
    const key = isKeyed ? `${topic.length}:${topic}${event.key}` : sequence;
    const before = this.#entries.get(key);
    const size = sizeOf(event);
    this.#read += size;
    this.#bytes += size - (before === undefined ? 0 : sizeOf(before.event));
    if (before !== undefined) this.thinned.add(topic);
    // Set anew, it stands where the newest belongs.
    this.#entries.delete(key);
    this.#entries.set(key, entry);
  }
}
