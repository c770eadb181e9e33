// Redis Cluster: a hub is one slot of it.
import { createCluster } from "@redis/client";
import { createHub } from "everstream";
import { redisLog } from "everstream/redis";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import {
  command,
  connectTo,
  moveSlot,
  type RedisCluster,
  startRedisCluster,
} from "../brokers/redis-cluster.ts";
import type { RedisServer } from "../brokers/redis-server.ts";
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

  it("asks the hub's own server how it is set up, and no other", async () => {
    const name = freshName();
    const owner = await cluster.primaryOf(`{${name}}`);
    await command(owner, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
    for (let opening = 0; opening < 5; opening++) {
      const hub = createHub({ log: redisLog({ client: clientOf(cluster), name }) });
      await expect(hub.publish("t", { data: 1 })).rejects.toMatchObject({ code: "LOG_UNSUITABLE" });
      await hub.close();
    }
    await command(owner, "CONFIG", "SET", "maxmemory-policy", "noeviction");
  });

  it("waits for the replicas of the hub's own server, and for no others", async () => {
    const whole = await startRedisCluster({ replicas: true });
    onTestFinished(() => whole.dispose());
    const primary = await whole.primaryOf("{hub}");
    const own = whole.replicas[whole.primaries.indexOf(primary)] as RedisServer;
    for (const replica of whole.replicas) if (replica !== own) await replica.kill();
    const log = redisLog({ client: clientOf(whole), waitReplicas: 1, waitTimeout: 500, timeout: 30_000 });
    const hub = createHub({ log });
    onTestFinished(() => hub.close());
    const publish = (data: number): Promise<string> =>
      hub.publish("t", { data }, { publishId: String(data) }).catch(({ code }) => code);
    // On a slow machine the first one may be late on the replica.
    await expect.poll(() => publish(0), { timeout: 30_000 }).toMatch(/-/);
    own.pause();
    expect(await publish(1)).toBe("NOT_REPLICATED");
    own.resume();
    await expect.poll(() => publish(1), { timeout: 30_000 }).toMatch(/-/);
  }, 120_000);

  it("fails publishes at once while its server is away, where that is asked for", async () => {
    // One that is back takes nothing for as long.
    const whole = await startRedisCluster({ nodeTimeoutMs: 1500 });
    onTestFinished(() => whole.dispose());
    const hub = createHub({ log: redisLog({ client: clientOf(whole), offline: "fail", timeout: 600_000 }) });
    onTestFinished(() => hub.close());
    await hub.publish("t", { data: 1 });
    const primary = await whole.primaryOf("{hub}");
    await primary.kill();
    for (const data of [2, 3, 4]) {
      await expect(hub.publish("t", { data })).rejects.toMatchObject({ code: "LOG_FAILED" });
    }
    await primary.start();
    await expect.poll(() => hub.publish("t", { data: 5 }).catch(() => ""), { timeout: 30_000 }).not.toBe("");
  }, 120_000);

  it("goes on when its slot is moved, as often as that may be: who publishes waits, and nobody misses anything", async () => {
    const name = freshName();
    const log = () => redisLog({ client: clientOf(cluster), name, checkInterval: 200, timeout: 30_000 });
    const hubs = [createHub({ log: log() }), createHub({ log: log() })] as const;
    onTestFinished(async () => {
      for (const hub of hubs) await hub.close();
    });
    const topics = Array.from({ length: 20 }, (_, topic) => `t${topic}`);
    const clients = await Promise.all(hubs.map((hub) => connect(hub, { topics })));
    const published: string[][] = [[], []];
    let moving = true;
    const publishing = hubs.map(async (hub, node) => {
      for (let number = 0; moving; number++) {
        const data = `${node}.${number}`;
        await hub.publish(topics[number % topics.length] as string, { data });
        published[node]?.push(JSON.stringify(data));
      }
    });
    let from = await cluster.primaryOf(`{${name}}`);
    const owners = cluster.primaries.filter((server) => server !== from);
    for (const to of [...owners, from]) {
      await command(from, "CONFIG", "RESETSTAT");
      // Somebody has been refused, and goes on when the slot has moved.
      const halfway = () =>
        expect
          .poll(() => command(from, "INFO", "errorstats"), { timeout: 30_000 })
          .toMatch(/errorstat_(TRYAGAIN|ASK):/);
      await moveSlot(cluster, `{${name}}`, { from, to, halfway });
      from = to;
      const count = published.flat().length;
      await expect.poll(() => published.flat().length, { timeout: 30_000 }).toBeGreaterThan(count + 50);
    }
    moving = false;
    await Promise.all(publishing);
    const all = published.flat().length;
    for (const client of clients) {
      await client.until(({ data }) => data.length >= all);
      expect(client.gaps).toEqual([]);
      expect(client.data).toEqual(clients[0]?.data);
      for (const own of published) {
        expect(client.data.filter((data) => own.includes(data))).toEqual(own);
      }
      expect(client.data).toHaveLength(all);
    }
    const again = await connect(hubs[0], { topics, lastEventId: clients[1]?.events[0]?.lastEventId });
    await again.until(({ data }) => data.length >= all - 1);
    expect([again.gaps, again.data]).toEqual([[], clients[0]?.data.slice(1)]);
  }, 180_000);

  it("goes on when its primary is killed and a replica takes over", async () => {
    const whole = await startRedisCluster({ replicas: true, nodeTimeoutMs: 2000 });
    onTestFinished(() => whole.dispose());
    const log = redisLog({ client: clientOf(whole), checkInterval: 200, timeout: 30_000 });
    const hub = createHub({ log });
    onTestFinished(() => hub.close());
    const client = await connect(hub, { topics: "t" });
    const ids = await hub.publish("t", numbered(5));
    await client.until(({ data }) => data.length === 5);
    const primary = await whole.primaryOf("{hub}");
    const own = await connectTo(primary);
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
