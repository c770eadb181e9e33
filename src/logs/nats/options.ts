import type { NatsConnection, NodeConnectionOptions } from "@nats-io/transport-node";
import { invalidOption } from "../../errors.ts";
import { assertOptions, type NamesOf } from "../../input.ts";

/** Options of {@link natsLog}. Times are in milliseconds. */
export interface NatsLogOptions {
  /** Where the servers are: `"nats://10.0.0.1:4222"`, or several of a cluster. Default: `"127.0.0.1:4222"`. */
  servers?: string | readonly string[];
  /**
   * What else a connection needs: user, password, token, authenticator, TLS, as `@nats-io/transport-node` takes them.
   * How connections are made again is the log's own business.
   */
  connect?: Omit<NodeConnectionOptions, "servers" | "reconnect" | "waitOnFirstConnect">;
  /** A connection of yours, in place of `servers` and `connect`. It stays open when the log is closed. */
  connection?: NatsConnection;
  /** The stream's name: one for each hub. Letters, digits, `_` and `-`. Default: `"everstream"`. */
  name?: string;
  /** On how many servers of a cluster the stream is kept, where it is made: 1 to 5. Default: 1. */
  replicas?: number;
  /** Where the stream is kept, where it is made. Default: `"file"`. */
  storage?: "file" | "memory";
  /**
   * How many bytes the stream may have, where it is made. What would be more is refused: nothing that was accepted is
   * dropped for it. Default: no limit but the server's.
   */
  maxBytes?: number;
  /** How long a publish or a read may take, a connection that is gone included. Default: 5,000. */
  timeout?: number;
  /** What happens to a publish while there is no connection: it waits for one within `timeout`, or fails at once. Default: `"wait"`. */
  offline?: "wait" | "fail";
  /** How many publishes may wait for the server, and with how many bytes. Over that they fail at once. Default: 10,000 and 64 MiB. */
  maxPending?: number;
  maxPendingBytes?: number;
  /** How often the server gives a sign of life where nothing else comes; two and a half times as long is taken for a loss. Default: 2,000. */
  heartbeat?: number;
  /** How often it is looked whether anything was lost on the way. Default: 5,000. */
  checkInterval?: number;
  /** How long a topic that has lost its last reader is still followed. Default: 5,000. */
  unfollowDelay?: number;
  /** How often the stream is walked through for what is over its age, and for topics of which nothing is left. Default: 60,000. */
  sweepInterval?: number;
  /** What JetStream's own subjects begin with, where that is another account's or domain's. Default: `"$JS.API"`. */
  apiPrefix?: string;
  /** What subjects for answers begin with, for a `connection` that has one of its own. Default: `"_INBOX"`. */
  inboxPrefix?: string;
}

/** Options as the log's parts use them. */
export interface NatsSettings {
  readonly name: string;
  readonly replicas: number | undefined;
  readonly storage: "file" | "memory" | undefined;
  readonly maxBytes: number;
  readonly timeoutMs: number;
  readonly waits: boolean;
  readonly maxPending: number;
  readonly maxPendingBytes: number;
  readonly heartbeatMs: number;
  readonly checkMs: number;
  readonly unfollowMs: number;
  readonly sweepMs: number;
  readonly apiPrefix: string;
  readonly inboxPrefix: string | undefined;
}

const NAMES: NamesOf<NatsLogOptions> = {
  servers: true,
  connect: true,
  connection: true,
  name: true,
  replicas: true,
  storage: true,
  maxBytes: true,
  timeout: true,
  offline: true,
  maxPending: true,
  maxPendingBytes: true,
  heartbeat: true,
  checkInterval: true,
  unfollowDelay: true,
  sweepInterval: true,
  apiPrefix: true,
  inboxPrefix: true,
};

const NAME = /^[A-Za-z0-9_-]{1,64}$/;
/** Tokens of a subject, without wildcards. */
const PREFIX = /^[^\s.*>]+(\.[^\s.*>]+)*$/;
const UNLIMITED = -1;
/** The server takes no shorter ones. */
const MIN_HEARTBEAT_MS = 100;
/** JetStream has no more. */
const MAX_REPLICAS = 5;
/** Timers take no more than 31 bits. */
const MAX_MS = 0x7fff_ffff;

/** @throws EverstreamError `INVALID_OPTION`. */
export function settingsOf(options: NatsLogOptions): NatsSettings {
  assertOptions("options", options, NAMES);
  const { name = "everstream", storage, replicas, maxBytes, offline = "wait" } = options;
  if (typeof name !== "string" || !NAME.test(name)) {
    throw invalidOption(
      "`name` must be 1 to 64 letters, digits, `_` or `-`: it names a stream on the server.",
    );
  }
  if (storage !== undefined && storage !== "file" && storage !== "memory") {
    throw invalidOption('`storage` must be "file" or "memory".');
  }
  if (offline !== "wait" && offline !== "fail") {
    throw invalidOption('`offline` must be "wait" or "fail".');
  }
  checkWhere(options);
  return {
    name,
    storage,
    replicas: replicas === undefined ? undefined : whole("replicas", replicas, 1, MAX_REPLICAS),
    maxBytes: maxBytes === undefined ? UNLIMITED : whole("maxBytes", maxBytes, 1),
    timeoutMs: duration("timeout", options.timeout ?? 5000, 1),
    waits: offline === "wait",
    maxPending: amount("maxPending", options.maxPending ?? 10_000, 1),
    maxPendingBytes: amount("maxPendingBytes", options.maxPendingBytes ?? 64 * 1024 * 1024, 1),
    heartbeatMs: duration("heartbeat", options.heartbeat ?? 2000, MIN_HEARTBEAT_MS),
    checkMs: duration("checkInterval", options.checkInterval ?? 5000, 10),
    unfollowMs: duration("unfollowDelay", options.unfollowDelay ?? 5000, 0),
    sweepMs: duration("sweepInterval", options.sweepInterval ?? 60_000, 0),
    apiPrefix: prefix("apiPrefix", options.apiPrefix ?? "$JS.API"),
    inboxPrefix: options.inboxPrefix === undefined ? undefined : prefix("inboxPrefix", options.inboxPrefix),
  };
}

/** Checks what says where the server is. */
function checkWhere({ connection, servers, connect }: NatsLogOptions): void {
  if (connection !== undefined && (servers !== undefined || connect !== undefined)) {
    throw invalidOption(
      "Give either `connection`, or `servers` and `connect`: a connection has its servers already.",
    );
  }
  if (connection !== undefined && !isConnection(connection)) {
    throw invalidOption("`connection` must be what `connect()` of `@nats-io/transport-node` resolves to.");
  }
  if (connect !== undefined && (typeof connect !== "object" || connect === null)) {
    throw invalidOption(
      "`connect` must be an object with options of `connect()` of `@nats-io/transport-node`.",
    );
  }
  const all: unknown = typeof servers === "string" ? [servers] : servers;
  if (all !== undefined && !(Array.isArray(all) && all.length > 0 && all.every(isServer))) {
    throw invalidOption('`servers` must be a server, as in "nats://10.0.0.1:4222", or an array of some.');
  }
}

function isConnection(connection: Partial<NatsConnection> | null): boolean {
  return (["publish", "subscribe", "status", "isClosed"] as const).every(
    (name) => typeof connection?.[name] === "function",
  );
}

function isServer(server: unknown): boolean {
  if (typeof server !== "string") return false;
  const where = server.trim().replace(/^.*:\/\//, "");
  // An IPv6 address may stand without its brackets.
  return URL.canParse(`http://${where}`) || URL.canParse(`http://[${where}]`);
}

function duration(name: string, value: unknown, min: number): number {
  return whole(name, value, min, MAX_MS);
}

function amount(name: string, value: unknown, min: number): number {
  if (typeof value === "number" && value >= min) return value;
  throw invalidOption(`\`${name}\` must be a number from ${min}.`);
}

function whole(name: string, value: unknown, min: number, max = Number.MAX_SAFE_INTEGER): number {
  if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) {
    return value as number;
  }
  const bounds = max === Number.MAX_SAFE_INTEGER ? `from ${min}` : `from ${min} to ${max}`;
  throw invalidOption(`\`${name}\` must be a whole number ${bounds}.`);
}

function prefix(name: string, value: unknown): string {
  if (typeof value === "string" && PREFIX.test(value)) return value;
  throw invalidOption(`\`${name}\` must be the beginning of a subject, without a dot at its end: "a.b".`);
}
