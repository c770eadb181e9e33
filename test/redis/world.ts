// A redis-server with a proxy in front of it, and hubs that reach it through that.
import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { createHub, type Hub, type HubOptions } from "everstream";
import { type RedisLogOptions, redisLog } from "everstream/redis";
import { onTestFinished } from "vitest";
import type { LossyWorld } from "../brokers/losses.ts";
import { command } from "../brokers/redis-cluster.ts";
import { type RedisServer, startRedis } from "../brokers/redis-server.ts";
import { type TcpProxy, tcpProxy } from "../brokers/tcp-proxy.ts";

/** However much a test publishes until it has seen enough. */
const KEEP_ALL = { maxEvents: 1e6, maxBytes: 1e9 };

export interface RedisWorld {
  readonly redis: RedisServer;
  readonly proxy: TcpProxy;
  /** A hub that goes through the proxy. */
  hub(options?: Partial<RedisLogOptions>, hubOptions?: Partial<HubOptions>): Hub;
  /** A hub that does not. */
  nearHub(options?: Partial<RedisLogOptions>): Hub;
}

/** Short, so that what is lost is soon missed. */
const CHECK_MS = 100;

/** For one test, after which all of it is ended. */
export async function startWorld(args: readonly string[] = []): Promise<RedisWorld> {
  const redis = await startRedis(args);
  const proxy = await tcpProxy(redis.port);
  const hubs: Hub[] = [];
  onTestFinished(async () => {
    await Promise.all(hubs.map((hub) => hub.close()));
    await proxy.close();
    await redis.dispose();
  });
  const hubAt = (
    url: string,
    options: Partial<RedisLogOptions> = {},
    more: Partial<HubOptions> = {},
  ): Hub => {
    const log = redisLog({ url, checkInterval: CHECK_MS, timeout: 10_000, ...options });
    const hub = createHub({ retention: KEEP_ALL, ...more, log });
    hubs.push(hub);
    return hub;
  };
  return {
    redis,
    proxy,
    hub: (options, more) => hubAt(`redis://127.0.0.1:${proxy.port}`, options, more),
    nearHub: (options) => hubAt(redis.url, options),
  };
}

/** One whose server's data can be lost. */
export async function startLossyWorld(): Promise<LossyWorld> {
  const { redis, ...world } = await startWorld();
  const files = join(redis.folder, "appendonlydir");
  const copies = `${redis.folder}-copies`;
  onTestFinished(() => rm(copies, { recursive: true, force: true }));
  let made = 0;
  return {
    ...world,
    broker: redis,
    async empty() {
      await command(redis, "FLUSHALL");
    },
    async copy() {
      const copy = join(copies, String(++made));
      // As a backup is made: of a server that goes on, and whose last record may be there by half.
      await cp(files, copy, { recursive: true });
      return async () => {
        await redis.kill();
        await rm(files, { recursive: true });
        await cp(copy, files, { recursive: true });
        await redis.start();
      };
    },
  };
}

/** Whether a chunk of what Redis sends is one push and nothing else, so that it can get lost as a push can: all of it. */
export function isPush(chunk: Buffer): boolean {
  const text = chunk.toString("latin1");
  const head = /^>3\r\n\$7\r\nmessage\r\n\$\d+\r\n[^\r]+\r\n\$(\d+)\r\n/.exec(text);
  return head !== null && text.length === head[0].length + Number(head[1]) + 2;
}
