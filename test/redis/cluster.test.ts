// Redis Cluster: a hub is one slot of it.
import { createClient, createCluster } from "@redis/client";
import { createHub } from "everstream";
import { redisLog } from "everstream/redis";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { command, type RedisCluster, startRedisCluster } from "../brokers/redis-cluster.ts";
import { connect, numbered, numbers } from "../hub/client.ts";
import { describeLog, type LogFixture } from "../logs/contract.ts";
import { freshName, PATIENCE_MS } from "./fixture.ts";

let cluster: RedisCluster;
beforeAll(async () => {
  cluster = await startRedisCluster({ args: ["--appendonly", "no"] });
}, 120_000);
afterAll(() => cluster.dispose());

function clientOf({ primaries }: RedisCluster) {
  return createCluster({ rootNodes: primaries.map(({ url }) => ({ url })) });
}

async function fixture(): Promise<LogFixture> {
  const name = freshName();
  const open = () => redisLog({ client: clientOf(cluster), name, timeout: PATIENCE_MS });
  return { log: open(), restart: async () => open(), dispose: async () => undefined };
}

describeLog("redisLog on a cluster", fixture);

describe("redisLog on a cluster", () => {
  it("has all of a hub in one slot, and hubs spread over all of it", async () => {
    const names = Array.from({ length: 30 }, () => freshName());
    for (const name of names) {
      const hub = createHub({ log: redisLog({ client: clientOf(cluster), name }) });
      await hub.publish("t", { data: 1 });
      await hub.close();
    }
    const slots = await Promise.all(
      cluster.primaries.map(async (server) => {
        const keys = (await command(server, "KEYS", "everstream:*")).split(",");
        return new Set(
          keys.map((key) => /\{(.*)\}/.exec(key)?.[1]).filter((name) => names.includes(name ?? "")),
        );
      }),
    );
    expect(slots.reduce((sum, { size }) => sum + size, 0)).toBe(30);
    for (const { size } of slots) expect(size).toBeGreaterThan(0);
  });

  it("says what is needed where it is given only one of the cluster's servers", async () => {
    const hub = createHub({ log: redisLog({ url: (cluster.primaries[0] as { url: string }).url }) });
    await expect(hub.publish("t", { data: 1 })).rejects.toMatchObject({
      code: "LOG_UNSUITABLE",
      message: expect.stringContaining("createCluster"),
    });
    await hub.close();
  });

  it("is told by its shard alone what it follows", async () => {
    const name = freshName();
    const hub = createHub({ log: redisLog({ client: clientOf(cluster), name }) });
    onTestFinished(() => hub.close());
    const client = await connect(hub, { topics: "t" });
    const channels = await Promise.all(
      cluster.primaries.map((server) => command(server, "PUBSUB", "SHARDCHANNELS", `everstream:{${name}}:*`)),
    );
    expect(channels.filter((channel) => channel !== "")).toHaveLength(1);
    await hub.publish("t", numbered(3));
    await client.until(({ data }) => data.length === 3);
  });

  it("goes on when its primary is killed and a replica takes over", async () => {
    const whole = await startRedisCluster({ replicas: true });
    onTestFinished(() => whole.dispose());
    const log = redisLog({ client: clientOf(whole), checkInterval: 200, timeout: 30_000 });
    const hub = createHub({ log });
    onTestFinished(() => hub.close());
    const client = await connect(hub, { topics: "t" });
    const ids = await hub.publish("t", numbered(5));
    await client.until(({ data }) => data.length === 5);
    const slot = Number(await command(whole.primaries[0] as { url: string }, "CLUSTER", "KEYSLOT", "{hub}"));
    const primary = whole.primaryOf(slot);
    const own = await createClient({ url: primary.url }).connect();
    await own.set("{hub}", "1");
    expect(await own.sendCommand(["WAIT", "1", "10000"])).toBe(1);
    own.destroy();
    await primary.kill();
    const id = await hub.publish("t", { data: 5 });
    await client.until(({ data }) => data.length === 6);
    expect([client.gaps, client.data]).toEqual([[], numbers(6)]);
    expect(id.split("-")[0]).not.toBe(ids[0]?.split("-")[0]);
  }, 120_000);
});
