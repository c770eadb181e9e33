// A client of sentinels, which knows by them which server is the primary.
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createSentinel } from "@redis/client";
import { createHub } from "everstream";
import { redisLog } from "everstream/redis";
import { expect, it, onTestFinished, vi } from "vitest";
import { freePort, startChild } from "../brokers/child.ts";
import { dataFolder } from "../brokers/folder.ts";
import { command, replicated } from "../brokers/redis-cluster.ts";
import { type RedisServer, startRedis } from "../brokers/redis-server.ts";
import { tcpProxy } from "../brokers/tcp-proxy.ts";
import { connect, numbered, numbers } from "../hub/client.ts";

interface Watched {
  readonly primary: RedisServer;
  readonly replica: RedisServer;
  /** The sentinel's. */
  readonly port: number;
  dispose(): Promise<void>;
}

/** A primary with a replica, and a sentinel that watches them, and takes the primary for gone when it is silent for so long. */
async function startWatched(downAfterMs: number): Promise<Watched> {
  const [primary, replica] = [await startRedis(), await startRedis()];
  await command(replica, "REPLICAOF", "127.0.0.1", String(primary.port));
  await linked(replica);
  const { path, remove } = await dataFolder("sentinel");
  const port = await freePort();
  const config = [
    `port ${port}`,
    "bind 127.0.0.1",
    `dir ${path}`,
    `sentinel monitor main 127.0.0.1 ${primary.port} 1`,
    `sentinel down-after-milliseconds main ${downAfterMs}`,
    "sentinel failover-timeout main 3000",
  ];
  await writeFile(join(path, "sentinel.conf"), `${config.join("\n")}\n`);
  const program = process.env.REDIS_SERVER_PATH ?? "redis-server";
  const args = [join(path, "sentinel.conf"), "--sentinel"];
  const sentinel = await startChild(program, args, (output) => output.includes("+monitor master"));
  return {
    primary,
    replica,
    port,
    async dispose() {
      await sentinel.kill();
      await Promise.all([primary.dispose(), replica.dispose(), remove()]);
    },
  };
}

async function linked(replica: RedisServer): Promise<void> {
  const info = (): Promise<string> => command(replica, "INFO", "replication");
  await vi.waitUntil(async () => (await info()).includes("master_link_status:up"), {
    timeout: 20_000,
    interval: 50,
  });
}

it("goes on when sentinels make a replica the primary", async () => {
  const { primary, replica, port, dispose } = await startWatched(1500);
  const client = createSentinel({
    name: "main",
    sentinelRootNodes: [{ host: "127.0.0.1", port }],
    scanInterval: 200,
  });
  const hub = createHub({ log: redisLog({ client, checkInterval: 200, timeout: 40_000 }) });
  onTestFinished(async () => {
    await hub.close();
    await dispose();
  });
  const reader = await connect(hub, { topics: "t" });
  const ids = await hub.publish("t", numbered(5));
  await reader.until(({ data }) => data.length === 5);
  const known = (): Promise<string> => command({ url: `redis://127.0.0.1:${port}` }, "INFO", "sentinel");
  await vi.waitUntil(async () => (await known()).includes("slaves=1"), {
    timeout: 30_000,
    interval: 100,
  });
  // What a replica has not received is lost, and not what is tested here.
  await linked(replica);
  await replicated(primary, replica);
  await primary.kill();
  const id = await hub.publish("t", { data: 5 });
  await reader.until(({ data }) => data.length === 6);
  expect([reader.gaps, reader.data]).toEqual([[], numbers(6)]);
  expect(id.split("-")[0]).not.toBe(ids[0]?.split("-")[0]);
}, 120_000);

it("waits for replicas anew where the connection is lost on which it waited", async () => {
  const { primary, replica, port, dispose } = await startWatched(60_000);
  const slow = await tcpProxy(port);
  const client = createSentinel({
    name: "main",
    sentinelRootNodes: [{ host: "127.0.0.1", port: slow.port }],
    // A connection that is back says nothing of its own, so that what is sent again is the first that it sends.
    RESP: 2,
    nodeClientOptions: { disableClientInfo: true },
  });
  const hub = createHub({
    log: redisLog({ client, waitReplicas: 1, waitTimeout: 5000, timeout: 40_000 }),
  });
  onTestFinished(async () => {
    replica.resume();
    await hub.close();
    await slow.close();
    await dispose();
  });
  await expect.poll(() => hub.publish("t", { data: 0 }).catch(() => "")).not.toBe("");
  // It counts as a replica still, and confirms nothing any more.
  replica.pause();
  const publishing = hub.publish("t", { data: 1 }).catch((error: unknown) => error);
  const waiting = async (): Promise<string | undefined> =>
    /^id=(\d+) .* cmd=wait /m.exec(await command(primary, "CLIENT", "LIST"))?.[1];
  const id = await vi.waitUntil(waiting, { timeout: 20_000, interval: 10 });
  // The connection is back before the sentinel has been asked whether it leads to the right server.
  slow.delayMs = 500;
  await command(primary, "CLIENT", "KILL", "ID", String(id));
  expect(await publishing).toMatchObject({ code: "NOT_REPLICATED" });
  slow.delayMs = 0;
  replica.resume();
  await expect.poll(() => hub.publish("t", { data: 2 }).catch(() => "")).not.toBe("");
}, 120_000);
