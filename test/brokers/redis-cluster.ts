// A Redis Cluster of the tests' own: three primaries, and replicas where they are asked for.
import { createClient } from "@redis/client";
import { vi } from "vitest";
import { type RedisServer, startRedis } from "./redis-server.ts";

export interface RedisCluster {
  readonly primaries: readonly RedisServer[];
  /** One for each primary, where they were asked for. */
  readonly replicas: readonly RedisServer[];
  /** Which primary has this slot. */
  primaryOf(slot: number): RedisServer;
  dispose(): Promise<void>;
}

const SLOTS = 16_384;

export async function command(server: Pick<RedisServer, "url">, ...args: string[]): Promise<string> {
  const client = await createClient({ url: server.url }).connect();
  try {
    return String(await client.sendCommand(args));
  } finally {
    client.destroy();
  }
}

export async function startRedisCluster({
  replicas = false,
  args = [] as readonly string[],
} = {}): Promise<RedisCluster> {
  const clustered = ["--cluster-enabled", "yes", "--cluster-node-timeout", "1500", ...args];
  const start = (): Promise<RedisServer> => startRedis(clustered);
  const primaries = await Promise.all([start(), start(), start()]);
  const others = replicas ? await Promise.all([start(), start(), start()]) : [];
  const all = [...primaries, ...others];
  const dispose = async (): Promise<void> => {
    await Promise.all(all.map((server) => server.dispose()));
  };
  const share = Math.ceil(SLOTS / primaries.length);
  try {
    await join(primaries, others, share);
  } catch (error) {
    await dispose();
    throw error;
  }
  return {
    primaries,
    replicas: others,
    primaryOf: (slot) => primaries[Math.floor(slot / share)] as RedisServer,
    dispose,
  };
}

/** Makes one cluster of them. */
async function join(
  primaries: readonly RedisServer[],
  others: readonly RedisServer[],
  share: number,
): Promise<void> {
  const all = [...primaries, ...others];
  for (const [index, { url }] of primaries.entries()) {
    const range = [index * share, Math.min(SLOTS, (index + 1) * share) - 1].map(String);
    await command({ url }, "CLUSTER", "ADDSLOTSRANGE", ...range);
  }
  for (const { url } of all.slice(1)) {
    await command({ url }, "CLUSTER", "MEET", "127.0.0.1", String(all[0]?.port));
  }
  const isWhole = async ({ url }: RedisServer): Promise<boolean> => {
    const info = await command({ url }, "CLUSTER", "INFO");
    return info.includes("cluster_state:ok") && info.includes(`cluster_known_nodes:${all.length}`);
  };
  const wait = { timeout: 30_000, interval: 50 };
  await vi.waitUntil(async () => (await Promise.all(all.map(isWhole))).every(Boolean), wait);
  for (const [index, replica] of others.entries()) {
    const id = await command(primaries[index] as RedisServer, "CLUSTER", "MYID");
    await command(replica, "CLUSTER", "REPLICATE", id);
    await vi.waitUntil(
      async () => (await command(replica, "INFO", "replication")).includes("master_link_status:up"),
      wait,
    );
  }
}
