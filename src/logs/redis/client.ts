import { createClient } from "@redis/client";
import { isFinal } from "./failure.ts";
import type { RedisSettings } from "./options.ts";

/** One connection to wherever the log's keys are, as much of it as the log needs. */
export interface RedisConnection {
  readonly isReady: boolean;
  /** Sends a command to the server that has the log's keys. */
  send(args: readonly string[]): Promise<unknown>;
  /** Sends commands one right after the other over one connection; none of them alone over another one, however often it is tried. */
  sendTogether(commands: readonly (readonly string[])[]): Promise<unknown[]>;
  subscribe(channel: string, isSharded: boolean, listener: (message: string) => void): Promise<void>;
  connect(): Promise<void>;
  /** Lets go at once: what is under way fails. */
  destroy(): void;
}

export interface RedisConnectionEvents {
  /**
   * It can be used, again or for the first time. A cluster's tells it of each server that it connects to, a sentinel's of
   * each primary, and not of one to which it comes back.
   */
  onReady(): void;
  onError(error: unknown): void;
  /** It will not come back by itself. */
  onEnd(error: unknown): void;
}

/** The shortest and the longest pause before connecting again. */
const RETRY_MS = 50;
const MAX_RETRY_MS = 1000;

/** How long to wait before another try, spread out so that nodes do not come back all at once. */
export function retryDelay(tries: number): number {
  return Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** Math.min(tries, 10)) * (0.5 + Math.random() / 2);
}

/** What the clients of `@redis/client` have in common, by name. */
interface AnyClient {
  readonly isReady: boolean;
  readonly isOpen: boolean;
  connect(): Promise<unknown>;
  destroy(): void;
  on(event: string, listener: (error: unknown) => void): unknown;
  subscribe(channel: string, listener: (message: string) => void): Promise<unknown>;
  sSubscribe(channel: string, listener: (message: string) => void): Promise<unknown>;
  sendCommand(...args: unknown[]): Promise<unknown>;
  multi(): AnyPipeline;
  getNodeClientForKey(key: string): Promise<AnyClient>;
  duplicate(overrides: Readonly<Record<string, unknown>>): AnyClient;
  readonly options?: { readonly socket?: object };
  readonly _options?: { readonly defaults?: object; readonly nodeClientOptions?: object };
}

interface AnyPipeline {
  addCommand(isReadonly: boolean, args: readonly string[]): unknown;
  execAsPipeline(): Promise<unknown[]>;
}

export type ClientKind = "single" | "cluster" | "sentinel";

export function kindOf(client: object | undefined): ClientKind {
  if (client !== undefined && "getSlotMaster" in client) return "cluster";
  return client !== undefined && "getSentinelNode" in client ? "sentinel" : "single";
}

/** Makes a connection of the log's own. It is not connected yet. */
export function newConnection(settings: RedisSettings, events: RedisConnectionEvents): RedisConnection {
  const kind = kindOf(settings.client);
  const client = newClient(settings, kind);
  client.on("error", events.onError);
  client.on("ready", events.onReady);
  client.on("node-ready", events.onReady);
  client.on("terminated", (error) => {
    // The strategy's own error, where it gave one, is what ended it.
    events.onEnd((error as { originalError?: unknown } | undefined)?.originalError ?? error);
  });
  return {
    get isReady() {
      return client.isReady;
    },
    async send(args) {
      if (kind === "sentinel") return client.sendCommand(false, args);
      if (kind === "single") return client.sendCommand(args);
      if (args[0]?.startsWith("EVAL") === true) return client.sendCommand(settings.keys, false, args);
      // What names no key, a cluster's client would send to any server, or to all.
      return (await client.getNodeClientForKey(settings.keys)).sendCommand(args);
    },
    async sendTogether(commands) {
      if (kind === "sentinel") {
        // Its client tries again what a lost connection has not answered: a pipeline as a whole, commands each by itself.
        const pipeline = client.multi();
        for (const args of commands) pipeline.addCommand(false, args);
        return pipeline.execAsPipeline();
      }
      const one = kind === "cluster" ? await client.getNodeClientForKey(settings.keys) : client;
      return Promise.all(commands.map((args) => one.sendCommand(args)));
    },
    async subscribe(channel, isSharded, listener) {
      await (isSharded ? client.sSubscribe(channel, listener) : client.subscribe(channel, listener));
    },
    async connect() {
      await client.connect();
      if (kind !== "single") events.onReady();
    },
    destroy() {
      if (client.isOpen) client.destroy();
    },
  };
}

/** Commands are not to wait in the client's own queue: what is repeated, in which order, is the log's to decide. */
function newClient({ url, client, timeoutMs }: RedisSettings, kind: ClientKind): AnyClient {
  const own = { disableOfflineQueue: true };
  const socket = { connectTimeout: timeoutMs, reconnectStrategy };
  if (client === undefined) {
    return createClient({ ...own, url: url as string, socket }) as unknown as AnyClient;
  }
  const given = client as unknown as AnyClient;
  // Options for replies would change what the log reads.
  const plain = { commandOptions: {}, clientSideCache: undefined };
  if (kind === "single") {
    return given.duplicate({ ...plain, ...own, socket: { ...given.options?.socket, ...socket } });
  }
  if (kind === "cluster") {
    const defaults = { ...given._options?.defaults, ...own };
    return given.duplicate({ ...plain, minimizeConnections: true, defaults });
  }
  const nodeClientOptions = { ...given._options?.nodeClientOptions, ...own };
  return given.duplicate({ ...plain, masterPoolSize: 1, nodeClientOptions });
}

function reconnectStrategy(retries: number, cause: Error): number | Error {
  return isFinal(cause) ? cause : retryDelay(retries);
}
