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
import { startRedis } from "../brokers/redis-server.ts";
import { connect, numbered, numbers } from "../hub/client.ts";

it("goes on when sentinels make a replica the primary", async () => {
  const [primary, replica] = [await startRedis(), await startRedis()];
  await command(replica, "REPLICAOF", "127.0.0.1", String(primary.port));
  const info = (): Promise<string> => command(replica, "INFO", "replication");
  await vi.waitUntil(async () => (await info()).includes("master_link_status:up"), {
    timeout: 20_000,
    interval: 50,
  });
  const { path, remove } = await dataFolder("sentinel");
  const port = await freePort();
  const config = [
    `port ${port}`,
    "bind 127.0.0.1",
    `dir ${path}`,
    `sentinel monitor main 127.0.0.1 ${primary.port} 1`,
    "sentinel down-after-milliseconds main 500",
    "sentinel failover-timeout main 3000",
  ];
  await writeFile(join(path, "sentinel.conf"), `${config.join("\n")}\n`);
  const program = process.env.REDIS_SERVER_PATH ?? "redis-server";
  const args = [join(path, "sentinel.conf"), "--sentinel"];
  const sentinel = await startChild(program, args, (output) => output.includes("+monitor master"));
  const client = createSentinel({
    name: "main",
    sentinelRootNodes: [{ host: "127.0.0.1", port }],
    scanInterval: 200,
  });
  const hub = createHub({ log: redisLog({ client, checkInterval: 200, timeout: 40_000 }) });
  onTestFinished(async () => {
    await hub.close();
    await sentinel.kill();
    await Promise.all([primary.dispose(), replica.dispose(), remove()]);
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
  await vi.waitUntil(async () => (await info()).includes("master_link_status:up"), {
    timeout: 20_000,
    interval: 20,
  });
  await replicated(primary, replica);
  await primary.kill();
  const id = await hub.publish("t", { data: 5 });
  await reader.until(({ data }) => data.length === 6);
  expect([reader.gaps, reader.data]).toEqual([[], numbers(6)]);
  expect(id.split("-")[0]).not.toBe(ids[0]?.split("-")[0]);
}, 120_000);
