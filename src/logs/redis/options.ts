import { invalidOption } from "../../errors.ts";
import { assertOptions, type NamesOf } from "../../input.ts";

/**
 * A client of `@redis/client` or `redis`: of `createClient`, `createCluster` or `createSentinel`. Only what it is set up
 * with is used: the log makes connections like it, and never sends anything over the client itself, nor closes it.
 */
export interface RedisClientLike {
  duplicate(): unknown;
}

/** Options of {@link redisLog}. */
export interface RedisLogOptions {
  /** The server, as `redis[s]://[[user][:password]@]host[:port][/database]`. */
  url?: string;
  /** In place of `url`: a client whose way of connecting is taken over, with its TLS, user, cluster or sentinels. */
  client?: RedisClientLike;
  /** Which hub this is: hubs of one name share one log. Another name is another log, with an order of its own. Default: "hub". */
  name?: string;
  /** What all of the log's keys and channels begin with. Default: "everstream:". */
  prefix?: string;
  /**
   * How long an append, a read or an opening may take before it fails with `LOG_FAILED`, in milliseconds. Where Redis can't be
   * reached they are tried again until then. Default: 5000.
   */
  timeout?: number;
  /** What appends do while Redis can't be reached: "wait" for it within `timeout`, or "fail" at once. Default: "wait". */
  offline?: "wait" | "fail";
  /** How many appends may wait or be under way; those over it fail with `LOG_FAILED`. Default: 100,000. */
  maxPending?: number;
  /** How many bytes of events may wait or be under way, by estimate. Default: 67,108,864 (64 MiB). */
  maxPendingBytes?: number;
  /**
   * On how many replicas an append must be before it resolves. It rejects with `NOT_REPLICATED` where that takes longer than
   * `waitTimeout`, though it is stored and may have been seen. Default: 0.
   */
  waitReplicas?: number;
  /** How long an append waits for replicas, in milliseconds. Default: 1000. */
  waitTimeout?: number;
  /**
   * How often a node asks whether its pushes have all come, in milliseconds, 20,000 at the most: what a lost one costs in time,
   * and how fresh idle clients' positions stay. Default: 2000.
   */
  checkInterval?: number;
  /** How long a topic is followed on after its last listener left, in milliseconds. Default: 5000. */
  unfollowDelay?: number;
}

/** How long Redis takes a node to be there without a sign of it. */
export const NODE_LIFE_MS = 60_000;
/** Of three signs of life two may come late. */
const MAX_CHECK_INTERVAL_MS = NODE_LIFE_MS / 3;
/** Timers take no more than 31 bits. */
const MAX_NUMBER = 0x7fff_ffff;

const NAMES: NamesOf<RedisLogOptions> = {
  url: true,
  client: true,
  name: true,
  prefix: true,
  timeout: true,
  offline: true,
  maxPending: true,
  maxPendingBytes: true,
  waitReplicas: true,
  waitTimeout: true,
  checkInterval: true,
  unfollowDelay: true,
};

/** Options with all defaults in. */
export interface RedisSettings {
  readonly url: string | undefined;
  readonly client: RedisClientLike | undefined;
  /** What every key begins with, the hash tag in it. */
  readonly keys: string;
  readonly timeoutMs: number;
  /** How long Redis may take for an answer before the connection counts as dead: so that a call can be tried twice. */
  readonly patienceMs: number;
  readonly failsOffline: boolean;
  readonly maxPending: number;
  readonly maxPendingBytes: number;
  readonly waitReplicas: number;
  readonly waitTimeoutMs: number;
  readonly checkIntervalMs: number;
  readonly unfollowDelayMs: number;
}

/** @throws EverstreamError `INVALID_OPTION`. */
export function redisSettings(options: RedisLogOptions = {}): RedisSettings {
  assertOptions("options", options, NAMES);
  const { url, client, name = "hub", prefix = "everstream:", offline = "wait" } = options;
  if ((url === undefined) === (client === undefined)) {
    throw invalidOption("Give either `url`, as in redis://127.0.0.1:6379, or `client`.");
  }
  if (url !== undefined) assertUrl(url);
  if (client !== undefined && typeof (client as Partial<RedisClientLike> | null)?.duplicate !== "function") {
    throw invalidOption(
      "`client` must be a client of @redis/client: createClient(), createCluster() or createSentinel().",
    );
  }
  if (typeof name !== "string" || name === "" || /[{}]/.test(name)) {
    throw invalidOption("`name` must be a text without braces, which stand around it in Redis' keys.");
  }
  if (typeof prefix !== "string" || /[{}]/.test(prefix)) {
    throw invalidOption("`prefix` must be a text without braces.");
  }
  if (offline !== "wait" && offline !== "fail") throw invalidOption('`offline` must be "wait" or "fail".');
  const timeoutMs = numberOf(options, "timeout", 5000, 1);
  return {
    url,
    client,
    keys: `${prefix}{${name}}:`,
    timeoutMs,
    patienceMs: Math.max(1, Math.floor(timeoutMs / 2)),
    failsOffline: offline === "fail",
    maxPending: numberOf(options, "maxPending", 100_000, 1),
    maxPendingBytes: numberOf(options, "maxPendingBytes", 64 * 1024 * 1024, 1),
    waitReplicas: numberOf(options, "waitReplicas", 0, 0),
    waitTimeoutMs: numberOf(options, "waitTimeout", 1000, 1),
    checkIntervalMs: numberOf(options, "checkInterval", 2000, 10, MAX_CHECK_INTERVAL_MS),
    unfollowDelayMs: numberOf(options, "unfollowDelay", 5000, 0),
  };
}

type NumberOption =
  | "timeout"
  | "maxPending"
  | "maxPendingBytes"
  | "waitReplicas"
  | "waitTimeout"
  | "checkInterval"
  | "unfollowDelay";

function numberOf(
  options: RedisLogOptions,
  name: NumberOption,
  byDefault: number,
  least: number,
  most = MAX_NUMBER,
): number {
  const value = options[name] ?? byDefault;
  if (!Number.isInteger(value) || value < least || value > most) {
    throw invalidOption(`\`${name}\` must be a whole number from ${least} to ${most}.`);
  }
  return value;
}

/** What the client library throws for other ones is no error of ours, and comes with the first use. */
function assertUrl(url: unknown): void {
  if (typeof url !== "string" || !/^rediss?:\/\//.test(url)) {
    throw invalidOption("`url` must begin with redis:// or rediss://.");
  }
  const why = whyNoUrl(url);
  if (why !== undefined) {
    throw invalidOption(
      `\`url\` ${why}; it is redis[s]://[[user][:password]@]host[:port][/database], with other characters than letters and digits in user and password as %XX.`,
    );
  }
}

function whyNoUrl(text: string): string | undefined {
  try {
    const { hostname, username, password, pathname } = new URL(text);
    decodeURIComponent(username);
    decodeURIComponent(password);
    if (hostname === "") return "names no host";
    return /^\/?\d*$/.test(pathname) ? undefined : "has a database that is no number";
  } catch {
    return "can't be read";
  }
}
