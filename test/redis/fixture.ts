// One redis-server for a test file, and a log of its own in it for each test.
import type { EventLog } from "everstream";
import { type RedisLogOptions, redisLog } from "everstream/redis";
import { afterAll, beforeAll } from "vitest";
import { type RedisServer, startRedis } from "../brokers/redis-server.ts";
import type { LogFixture } from "../logs/contract.ts";

/** How long anything may take where no test is about time. */
export const PATIENCE_MS = 30_000;

let names = 0;

/** A name that no other log of this process has. */
export function freshName(): string {
  return `hub-${++names}`;
}

/** Has a server started for the file's tests, and ended after them. */
export function sharedRedis(args: readonly string[] = []): { readonly current: RedisServer } {
  let server: RedisServer | undefined;
  beforeAll(async () => {
    server = await startRedis(args);
  });
  afterAll(() => server?.dispose());
  return {
    get current() {
      if (server === undefined) throw new Error("The server is not started yet.");
      return server;
    },
  };
}

export function redisFixture(
  server: { readonly current: RedisServer },
  options: RedisLogOptions = {},
): () => Promise<LogFixture> {
  return async () => {
    const name = freshName();
    const { url } = server.current;
    const open = (): EventLog => redisLog({ url, name, timeout: PATIENCE_MS, ...options });
    return { log: open(), restart: async () => open(), dispose: async () => undefined };
  };
}
