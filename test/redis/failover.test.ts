// A primary and its replica, and what a replica makes up for when the primary is gone, or is not gone but thought so.

import { createHub, type Hub } from "everstream";
import { type RedisLogOptions, redisLog } from "everstream/redis";
import { describe, expect, it, onTestFinished } from "vitest";
import { command, replicated } from "../brokers/redis-cluster.ts";
import { type RedisServer, startRedis } from "../brokers/redis-server.ts";
import { type TcpProxy, tcpProxy } from "../brokers/tcp-proxy.ts";
import { connect, numbered, numbers } from "../hub/client.ts";

/** A primary, a replica that follows it, and a hub's way to one of them, which a test can lead to the other. */
async function startPair() {
  const primary = await startRedis();
  const replica = await startRedis();
  onTestFinished(async () => {
    await primary.dispose();
    await replica.dispose();
  });
  await command(replica, "REPLICAOF", "127.0.0.1", String(primary.port));
  await expect
    .poll(() => command(replica, "INFO", "replication"), { timeout: 20_000 })
    .toContain("master_link_status:up");
  const node = async (options: Partial<RedisLogOptions> = {}): Promise<{ hub: Hub; proxy: TcpProxy }> => {
    const proxy = await tcpProxy(primary.port);
    const url = `redis://127.0.0.1:${proxy.port}`;
    const hub = createHub({ log: redisLog({ url, checkInterval: 100, timeout: 10_000, ...options }) });
    onTestFinished(async () => {
      await hub.close();
      await proxy.close();
    });
    return { hub, proxy };
  };
  return { primary, replica, node };
}

/** Leads a node to another server. */
function lead(proxy: TcpProxy, server: RedisServer): void {
  proxy.target = server.port;
  proxy.cut();
}

describe("a failover", () => {
  it("to a replica that has everything costs no gap", async () => {
    const { primary, replica, node } = await startPair();
    const { hub, proxy } = await node();
    const client = await connect(hub, { topics: "t" });
    const ids = await hub.publish("t", numbered(5));
    await client.until(({ data }) => data.length === 5);
    await replicated(primary, replica);
    await primary.kill();
    await command(replica, "REPLICAOF", "NO", "ONE");
    lead(proxy, replica);
    const id = await hub.publish("t", { data: 5 });
    await client.until(({ data }) => data.length === 6);
    expect([client.gaps, client.data]).toEqual([[], numbers(6)]);
    expect(id.split("-")[0]).not.toBe(ids[4]?.split("-")[0]);
    const again = await connect(hub, { topics: "t", lastEventId: ids[1] });
    await again.until(({ data }) => data.length === 4);
    expect([again.gaps, again.data]).toEqual([[], numbers(4, 2)]);
  });

  it("to a replica that lacks some: who had seen it is told, who had not misses nothing, and positions are not reused", async () => {
    const { primary, replica, node } = await startPair();
    const { hub, proxy } = await node();
    const client = await connect(hub, { topics: "t" });
    const ids = await hub.publish("t", numbered(5));
    await client.until(({ data }) => data.length === 5);
    await replicated(primary, replica);
    // From here on the primary is not one any more, and does not know.
    await command(replica, "REPLICAOF", "NO", "ONE");
    const lost = await hub.publish("t", numbered(3, 5));
    await client.until(({ data }) => data.length === 8);
    lead(proxy, replica);
    const stale = hub.publish("t", { data: "stale" }, { expectLast: lost[2] as string });
    await expect(stale).rejects.toMatchObject({ code: "CONFLICT" });
    await client.until(({ gaps }) => gaps.length > 0);
    expect(client.gaps).toMatchObject([{ reason: "epoch", after: lost[2] }]);
    const [next] = await hub.publish("t", [{ data: "next" }]);
    await client.until(({ data }) => data.includes('"next"'));
    expect(client.data).toEqual([...numbers(8), '"next"']);
    expect(lost).not.toContain(next);
    for (const lastEventId of [ids[4], lost[0]]) {
      const back = await connect(hub, { topics: "t", lastEventId });
      if (lastEventId === ids[4]) await back.until(({ data }) => data.length === 1);
      expect(back.gaps.map(({ reason }) => reason)).toEqual(lastEventId === ids[4] ? [] : ["epoch"]);
    }
  });

  it("which two nodes hear of at different times leaves them with one order", async () => {
    const { primary, replica, node } = await startPair();
    const [early, late] = [await node(), await node()];
    const clients = [await connect(early.hub, { topics: "t" }), await connect(late.hub, { topics: "t" })];
    await early.hub.publish("t", numbered(3));
    for (const client of clients) await client.until(({ data }) => data.length === 3);
    await replicated(primary, replica);
    await command(replica, "REPLICAOF", "NO", "ONE");
    lead(early.proxy, replica);
    await early.hub.publish("t", { data: "new" });
    await late.hub.publish("t", { data: "void" });
    await clients[1]?.until(({ data }) => data.includes('"void"'));
    // The old primary follows the new one from now on, and takes no more writes.
    await command(primary, "REPLICAOF", "127.0.0.1", String(replica.port));
    const waiting = late.hub.publish("t", { data: "after" });
    lead(late.proxy, replica);
    await waiting;
    for (const client of clients) await client.until(({ data }) => data.includes('"after"'));
    expect(clients[0]?.data).toEqual([...numbers(3), '"new"', '"after"']);
    expect(clients[0]?.gaps).toEqual([]);
    expect(clients[1]?.gaps).toMatchObject([{ reason: "epoch" }]);
    expect(clients[0]?.lastEventId).toBe(clients[1]?.lastEventId);
  });
});

describe("an address that leads to another primary", () => {
  it("is asked anew where the old one stays and takes no writes: nobody has to cut the connections", async () => {
    const { primary, replica, node } = await startPair();
    const { hub, proxy } = await node({ timeout: 30_000 });
    const client = await connect(hub, { topics: "t" });
    await hub.publish("t", numbered(3));
    await client.until(({ data }) => data.length === 3);
    await replicated(primary, replica);
    proxy.target = replica.port;
    await command(replica, "REPLICAOF", "NO", "ONE");
    await command(primary, "REPLICAOF", "127.0.0.1", String(replica.port));
    await hub.publish("t", { data: 3 });
    await client.until(({ data }) => data.length === 4);
    const late = await connect(hub, { topics: "u" });
    await hub.publish("u", { data: 4 });
    await late.until(({ data }) => data.length === 1);
    expect([client.gaps, client.data]).toEqual([[], numbers(4)]);
    // Nothing of it goes by way of the old one any more.
    await expect.poll(() => command(primary, "CLIENT", "LIST", "TYPE", "PUBSUB")).toBe("");
  }, 90_000);
});

describe("waitReplicas", () => {
  it("rejects with NOT_REPLICATED where too few replicas have it, though it is stored; a repeat waits again", async () => {
    const { replica, node } = await startPair();
    const { hub } = await node({ waitReplicas: 1, waitTimeout: 300 });
    const first = (): Promise<string> => hub.publish("t", { data: 0 }, { publishId: "zero" });
    // On a slow machine the first one may be late on the replica.
    await expect.poll(() => first().catch(() => "")).not.toBe("");
    replica.pause();
    const publish = (): Promise<string> => hub.publish("t", { data: 1 }, { publishId: "one" });
    await expect(publish()).rejects.toMatchObject({
      code: "NOT_REPLICATED",
      message: expect.stringContaining("publishId"),
    });
    await expect(publish()).rejects.toMatchObject({ code: "NOT_REPLICATED" });
    replica.resume();
    await expect.poll(() => publish().catch(() => ""), { timeout: 20_000 }).not.toBe("");
    expect((await hub.read("t")).events.map(({ data }) => data)).toEqual([0, 1]);
  });
});
