import { invalidOption } from "../errors.ts";
import { assertObject, assertOptions, assertSignal, hasMethod, type NamesOf } from "../input.ts";
import type { Defined } from "../schema/index.ts";
import type { StreamOptions } from "../session/options.ts";
import type { EventLog, LogEntry, RetentionLimits } from "./log.ts";
import type { Authorize, Topics } from "./rights.ts";
import type { SlowConsumerOption } from "./slow.ts";

/** How much of a topic is kept. Whatever is over any limit goes, the oldest first; the newest event always stays. */
export interface Retention {
  /** Default: 1,000. */
  maxEvents?: number;
  /** In bytes, by estimate: texts, and 200 for each event's record. Default: 1,048,576 (1 MiB). */
  maxBytes?: number;
  /** In milliseconds. Default: 86,400,000 (a day). */
  maxAge?: number;
}

/** Bounds on what one caller or client can take. */
export interface HubLimits {
  /**
   * The most that one event may take on the wire, in bytes, its `meta` counted too, though clients do not get that.
   * Default: 1,048,576 (1 MiB), which clients take too.
   */
  maxEventBytes?: number;
  /** How many topics one reader may ask for. Default: 100. */
  maxTopics?: number;
  /**
   * How many bytes of events wait in memory for readers of the same topics. Who falls behind further is read for from
   * the log. Default: 131,072 (128 KiB).
   */
  maxWaitingBytes?: number;
  /** How many sessions the hub has open at a time. Default: no limit. */
  maxSessions?: number;
  /** How many of them may have the same `key`. Default: no limit. */
  maxSessionsPerKey?: number;
}

/** Options of `createHub`. */
export interface HubOptions<E extends Defined = undefined> {
  /** Where events live. Default: `memoryLog()`. */
  log?: EventLog;
  /** What may be published, made by `defineEvents`. Default: anything. */
  events?: E;
  /**
   * How much is kept, of every topic or by topic; looked up at each publish. Default: 1,000 events, 1 MiB and a day, whatever
   * is reached first.
   */
  retention?: Retention | ((topic: string) => Retention);
  /** Bounds on what one caller or client can take. Default: those of {@link HubLimits}. */
  limits?: HubLimits;
  /** What becomes of readers that can't keep up, in all topics or by topic. Default: `resume`. */
  slowConsumer?: SlowConsumerOption;
}

/** Where a reader begins that has no cursor: with what is published next, with all that is kept, or with the last few. */
export type From = "now" | "start" | { readonly last: number };

/** Options of `hub.subscribe` and `hub.events`. */
export interface SubscribeOptions {
  /** The position to go on after: an event's id, or what `hub.position()` gave. */
  after?: string | undefined;
  /** Where to begin without `after`. Default: `now`. */
  from?: From;
  /** Ends it. */
  signal?: AbortSignal;
}

/** Options of `hub.read`. */
export interface ReadOptions {
  /** Only what stands after this position. */
  after?: string | undefined;
  /** Without `after`: only the last so many events. */
  last?: number;
  /** At most so many events, up to 1,000, which is the default. */
  limit?: number;
}

/** How the past is told in fewer words than it was written: pieces of text joined, states that are no longer so left out. */
export interface Compaction {
  /** Names what `compact` does: readers with the same key share its results. */
  readonly key: string;
  /** Gives fewer entries that say the same as these, in order. Each has the sequence of the last that it stands for. */
  compact(entries: readonly LogEntry[]): readonly LogEntry[];
}

/** Options of `hub.respond` and of the adapters' `streamTopics`. */
export interface RespondOptions extends StreamOptions {
  /** What the client is to read: one topic or several, each with the position from which on, where that is bounded. */
  topics: Topics;
  /**
   * Asked at every opening, a client's return too: whether it may read the topics, which of them, from where on and
   * until when. `false` becomes 403. What it throws or rejects with is reported, and becomes 500 without its words.
   */
  authorize?: Authorize;
  /**
   * When the client's rights end, in milliseconds as `Date.now()` gives them (a token's `exp`, times 1,000). The session
   * ends then, as `expired` and with its position; an opening after it gets 403.
   */
  expiresAt?: number;
  /**
   * After how many milliseconds, give or take a fifth, the session ends as `expired`, with its position, for the client
   * to come back: so that load spreads over servers, and rights are looked at anew. Default: never.
   */
  maxSessionAge?: number;
  /** Where a client begins that comes without a cursor. Default: `now`. */
  from?: From;
  /** After how many milliseconds clients reconnect that do so by the standard. Default: 2,000. */
  retry?: number;
  /** Whose session it is, for `hub.disconnect` and `limits.maxSessionsPerKey`: a user's id, or an address. */
  key?: string;
  /** Headers of the stream; they win over the usual ones. What is no stream, a 403, has none of them. */
  headers?: Readonly<Record<string, string>>;
  /** How events are told that are read from the log. Live ones are sent as they are. */
  compaction?: Compaction;
}

/** Options of `hub.publish`. */
export interface PublishOptions {
  /**
   * Publish only if the topic has had no event after this position (an event's id, or `hub.position()`); with `null`
   * only if it holds no event. Else it fails with `CONFLICT`.
   */
  expectLast?: string | null | undefined;
  /**
   * Names this publish: doing it again with the same topic and name within five minutes publishes nothing and resolves
   * as the first did, so that a publish whose outcome was lost can be repeated. At most 256 characters.
   */
  publishId?: string | undefined;
  /** Finishes the topic together with the event. */
  finish?: boolean;
  /** How much of the topic is kept from now on, in place of what the hub's own `retention` says. */
  retention?: Retention;
  /** Publishes events that the hub's `events` do not define, or not so. */
  unchecked?: boolean;
}

export interface Limits {
  readonly maxEventBytes: number;
  readonly maxTopics: number;
  readonly maxWaitingBytes: number;
  readonly maxSessions: number;
  readonly maxSessionsPerKey: number;
}

const LIMIT_NAMES: NamesOf<HubLimits> = {
  maxEventBytes: true,
  maxTopics: true,
  maxWaitingBytes: true,
  maxSessions: true,
  maxSessionsPerKey: true,
};
const RETENTION_NAMES: NamesOf<Retention> = { maxEvents: true, maxBytes: true, maxAge: true };
const SUBSCRIBE_NAMES: NamesOf<SubscribeOptions> = { after: true, from: true, signal: true };
const READ_NAMES: NamesOf<ReadOptions> = { after: true, last: true, limit: true };

const DAY_MS = 24 * 60 * 60 * 1000;
const DEFAULT_RETRY_MS = 2000;
const MAX_PUBLISH_ID_LENGTH = 256;

/**
 * Checks a hub's limits and fills in the defaults.
 *
 * @throws EverstreamError `INVALID_OPTION`.
 */
export function limitsOf(limits: HubLimits = {}): Limits {
  assertOptions("limits", limits, LIMIT_NAMES);
  const {
    maxEventBytes = 1024 * 1024,
    maxTopics = 100,
    maxWaitingBytes = 128 * 1024,
    maxSessions = Number.POSITIVE_INFINITY,
    maxSessionsPerKey = Number.POSITIVE_INFINITY,
  } = limits;
  return {
    maxEventBytes: amount("limits.maxEventBytes", maxEventBytes, 1),
    maxTopics: amount("limits.maxTopics", maxTopics, 1),
    maxWaitingBytes: amount("limits.maxWaitingBytes", maxWaitingBytes, 0),
    maxSessions: amount("limits.maxSessions", maxSessions, 1),
    maxSessionsPerKey: amount("limits.maxSessionsPerKey", maxSessionsPerKey, 1),
  };
}

/**
 * Makes of the option what a log wants for a topic.
 *
 * @throws EverstreamError `INVALID_OPTION`.
 */
export function retentionOf(option: HubOptions["retention"]): (topic: string) => RetentionLimits {
  if (typeof option !== "function") {
    const limits = retentionLimits(option);
    return () => limits;
  }
  return (topic) => limitsOfRetention(option(topic));
}

/** Policies are few and topics many: each is checked once. */
const checked = /* @__PURE__ */ new WeakMap<Retention, RetentionLimits>();

/** @throws EverstreamError `INVALID_OPTION`. */
export function limitsOfRetention(policy: Retention): RetentionLimits {
  assertObject("retention", policy);
  let limits = checked.get(policy);
  if (limits === undefined) {
    limits = retentionLimits(policy);
    checked.set(policy, limits);
  }
  return limits;
}

/** @throws EverstreamError `INVALID_OPTION`. */
export function assertHub(hub: unknown): void {
  if (!hasMethod(hub, "publish")) throw invalidOption("`hub` must be a hub, as `createHub()` makes one.");
}

/** @throws EverstreamError `INVALID_OPTION`. */
export function assertFrom(from: From | undefined): void {
  if (from === undefined || from === "now" || from === "start") return;
  if (typeof from === "object" && from !== null && Number.isSafeInteger(from.last) && from.last >= 0) return;
  throw invalidOption('`from` must be "now", "start" or { last: n } with a whole number from 0.');
}

/** @throws EverstreamError `INVALID_OPTION`. */
export function retryOf(retry: number = DEFAULT_RETRY_MS): number {
  if (!Number.isSafeInteger(retry)) {
    throw invalidOption(`\`retry\` is ${retry}, but must be a whole number of milliseconds.`);
  }
  return amount("retry", retry, 0);
}

/** When rights end, or never. @throws EverstreamError `INVALID_OPTION`. */
export function expiryOf(expiresAt: number = Number.POSITIVE_INFINITY): number {
  return amount("expiresAt", expiresAt, 0);
}

/** A session's age, or none. @throws EverstreamError `INVALID_OPTION`. */
export function maxAgeOf(maxSessionAge: number = Number.POSITIVE_INFINITY): number {
  return amount("maxSessionAge", maxSessionAge, 1);
}

/** @throws EverstreamError `INVALID_OPTION`. */
export function assertSubscribeOptions(options: SubscribeOptions): void {
  assertOptions("options", options, SUBSCRIBE_NAMES);
  assertFrom(options.from);
  assertSignal(options.signal);
}

/** @throws EverstreamError `INVALID_OPTION`. */
export function assertReadOptions(options: ReadOptions): void {
  assertOptions("options", options, READ_NAMES);
  const { last, limit } = options;
  if (last !== undefined) assertWhole("last", last, 0);
  if (limit !== undefined) assertWhole("limit", limit, 1);
}

/** @throws EverstreamError `INVALID_OPTION`. */
export function assertPublishId(publishId: unknown): void {
  if (publishId === undefined) return;
  if (typeof publishId === "string" && publishId !== "" && publishId.length <= MAX_PUBLISH_ID_LENGTH) return;
  throw invalidOption(`\`publishId\` must be a string of 1 to ${MAX_PUBLISH_ID_LENGTH} characters.`);
}

function retentionLimits(retention: Retention = {}): RetentionLimits {
  assertOptions("retention", retention, RETENTION_NAMES);
  const { maxEvents = 1000, maxBytes = 1024 * 1024, maxAge = DAY_MS } = retention;
  return {
    maxEvents: amount("maxEvents", maxEvents, 1),
    maxBytes: amount("maxBytes", maxBytes, 1),
    maxAgeMs: amount("maxAge", maxAge, 1),
  };
}

function amount(name: string, value: number, min: number): number {
  if (typeof value === "number" && value >= min) return value;
  throw invalidOption(`\`${name}\` is ${String(value)}, but must be a number from ${min} up.`);
}

function assertWhole(name: string, value: number, min: number): void {
  if (Number.isSafeInteger(value) && value >= min) return;
  throw invalidOption(`\`${name}\` is ${String(value)}, but must be a whole number from ${min} up.`);
}
