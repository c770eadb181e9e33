import { newConnection, type RedisConnection, retryDelay } from "./client.ts";
import { closedError, isFinal, isNoPrimary, isNoScript, redisError } from "./failure.ts";
import type { RedisSettings } from "./options.ts";
import type { Script } from "./script-parts.ts";
import { Bell } from "./timing.ts";

/**
 * A connection that is there again whenever it can be: one that is lost comes back; one that gives no answer, or that leads
 * to a server which is no primary any more, is replaced, since its address may lead elsewhere now.
 * Calls are sent in the order in which they are made.
 */
export class Lane {
  /** Called when it can be used, each time anew. */
  onReady: () => void = () => undefined;
  readonly #settings: RedisSettings;
  readonly #hashes: ReadonlyMap<Script, string>;
  #connection: RedisConnection | undefined;
  #lastError: unknown;
  #tries = 0;
  #life = 0;
  #retry: ReturnType<typeof setTimeout> | undefined;
  #closed = false;
  readonly #news = new Bell();

  constructor(settings: RedisSettings, hashes: ReadonlyMap<Script, string>) {
    this.#settings = settings;
    this.#hashes = hashes;
    this.#connect();
  }

  /** Another number for each new connection that was made, and for each time that one came back by itself. */
  get life(): number {
    return this.#life;
  }

  get isReady(): boolean {
    return this.#connection?.isReady ?? false;
  }

  /** Resolves when it can be used. Rejects where that takes longer than it may, or where the server refuses the user. */
  async ready(withinMs: number): Promise<void> {
    const end = performance.now() + withinMs;
    while (!this.isReady) {
      if (this.#closed) throw closedError();
      if (isFinal(this.#lastError)) throw redisError("be used", this.#lastError);
      const left = end - performance.now();
      if (left <= 0) throw redisError("be reached", this.#lastError ?? "it does not answer");
      await this.#news.wait(left);
    }
  }

  /** Runs a script. `withinMs`: without an answer by then the connection counts as dead. */
  async run(script: Script, args: readonly string[], withinMs: number): Promise<string[]> {
    return (await this.#call(script, args, (call) => this.send(call, withinMs))) as string[];
  }

  async send(args: readonly string[], withinMs: number): Promise<unknown> {
    const connection = this.#usable();
    return this.#timed(connection, connection.send(args), withinMs);
  }

  /** Runs a script and a command after it, both over the same connection. Answers with both answers. */
  async runWith(
    script: Script,
    args: readonly string[],
    command: readonly string[],
    withinMs: number,
  ): Promise<[string[], unknown]> {
    const send = (call: readonly string[]): Promise<unknown> => {
      const connection = this.#usable();
      return this.#timed(connection, connection.sendTogether([call, command]), withinMs);
    };
    return (await this.#call(script, args, send)) as [string[], unknown];
  }

  async subscribe(
    channel: string,
    isSharded: boolean,
    listener: (message: string) => void,
    withinMs: number,
  ): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined) throw redisError("be reached", this.#lastError ?? "it is not connected");
    await this.#timed(connection, connection.subscribe(channel, isSharded, listener), withinMs);
  }

  /** Replaces the connection by a new one. What is under way fails. */
  reset(): void {
    const connection = this.#connection;
    if (this.#closed || connection === undefined) return;
    this.#connection = undefined;
    connection.destroy();
    this.#connectLater();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#connection?.destroy();
    this.#connection = undefined;
    this.#news.ring();
  }

  /** Calls a script by its hash, or whole where the server does not know it. */
  async #call(
    script: Script,
    args: readonly string[],
    send: (call: readonly string[]) => Promise<unknown>,
  ): Promise<unknown> {
    const rest = ["1", `${this.#settings.keys}hub`, ...args];
    try {
      return await send(["EVALSHA", this.#hashes.get(script) as string, ...rest]);
    } catch (error) {
      if (!isNoScript(error)) throw error;
      return send(["EVAL", script.source, ...rest]);
    }
  }

  #usable(): RedisConnection {
    if (this.#closed) throw closedError();
    if (this.#connection !== undefined) return this.#connection;
    throw redisError("be reached", this.#lastError ?? "it is not connected");
  }

  #connect(): void {
    const isCurrent = (): boolean => this.#connection === connection && !this.#closed;
    const connection = newConnection(this.#settings, {
      onReady: () => {
        if (!isCurrent()) return;
        this.#tries = 0;
        this.#life++;
        this.#lastError = undefined;
        this.onReady();
        this.#news.ring();
      },
      onError: (error) => {
        if (!isCurrent()) return;
        this.#lastError = error;
        this.#news.ring();
      },
      onEnd: (error) => {
        if (!isCurrent()) return;
        this.#lastError = error;
        this.reset();
        this.#news.ring();
      },
    });
    this.#connection = connection;
    connection.connect().catch((error: unknown) => {
      if (!isCurrent()) return;
      this.#lastError = error;
      this.#news.ring();
      this.reset();
    });
  }

  #connectLater(): void {
    clearTimeout(this.#retry);
    this.#retry = setTimeout(() => this.#connect(), retryDelay(this.#tries++));
  }

  async #timed<Result>(
    connection: RedisConnection,
    answer: Promise<Result>,
    withinMs: number,
  ): Promise<Result> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        reject(new SilenceError(withinMs));
        if (this.#connection === connection) this.reset();
      }, withinMs);
    });
    try {
      return await Promise.race([answer, late]);
    } catch (error) {
      if (isNoPrimary(error) && this.#connection === connection) this.reset();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}

/** The server has given no answer. It may have done what it was asked for all the same. */
class SilenceError extends Error {
  constructor(withinMs: number) {
    super(`no answer within ${withinMs} ms`);
  }
}

/** A lane's connection is of no use to its caller as long as the server lacks these; found out once, when the log is opened. */
export async function hashesOf(scripts: readonly Script[]): Promise<Map<Script, string>> {
  const encoder = new TextEncoder();
  const hashes = new Map<Script, string>();
  for (const script of scripts) {
    const digest = await crypto.subtle.digest("SHA-1", encoder.encode(script.source));
    hashes.set(
      script,
      [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, "0")).join(""),
    );
  }
  return hashes;
}
