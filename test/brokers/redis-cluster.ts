// A Redis Cluster of the tests' own: three primaries, and replicas where they are asked for.
import { createClient } from "@redis/client";
import { vi } from "vitest";
import { type RedisServer, startRedis } from "./redis-server.ts";

export interface RedisCluster {
  readonly primaries: readonly RedisServer[];
  /** One for each primary, where they were asked for. */
  readonly replicas: readonly RedisServer[];
  /** Which primary has a key at first. */
  primaryOf(key: string): Promise<RedisServer>;
  dispose(): Promise<void>;
}

const SLOTS = 16_384;

/** A client that waits until a starved machine has a connection for it. The caller ends it. */
export function connectTo({ url }: { readonly url: string }) {
  return createClient({ url, socket: { connectTimeout: 60_000 } }).connect();
}

export async function command(server: Pick<RedisServer, "url">, ...args: string[]): Promise<string> {
  const client = await connectTo(server);
  try {
    return String(await client.sendCommand(args));
  } finally {
    client.destroy();
  }
}

/**
 * Resolves when a replica has all that its primary has at this moment. To have as much as that never comes true for certain: a
 * primary in use has something new every few milliseconds.
 */
export async function replicated(primary: RedisServer, replica: RedisServer): Promise<void> {
  const offsetOf = async (server: RedisServer): Promise<number> =>
    Number(/(?:master|slave)_repl_offset:(\d+)/.exec(await command(server, "INFO", "replication"))?.[1]);
  const offset = await offsetOf(primary);
  await vi.waitUntil(async () => (await offsetOf(replica)) >= offset, { timeout: 30_000, interval: 50 });
}

async function slotOf([any]: readonly RedisServer[], key: string): Promise<number> {
  return Number(await command(any as RedisServer, "CLUSTER", "KEYSLOT", key));
}

export async function startRedisCluster({
  replicas = false,
  /** How long a server may be silent until the others take it for gone: longer than one may have to wait for its turn. */
  nodeTimeoutMs = 10_000,
  args = [] as readonly string[],
} = {}): Promise<RedisCluster> {
  const clustered = ["--cluster-enabled", "yes", "--cluster-node-timeout", String(nodeTimeoutMs), ...args];
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
    primaryOf: async (key) => primaries[Math.floor((await slotOf(all, key)) / share)] as RedisServer,
    dispose,
  };
}

/**
 * Moves a key's slot, as redis-cli's `reshard` does: one key after the other, while it is in use. `halfway` is awaited when some
 * are here and some there.
 */
export async function moveSlot(
  cluster: RedisCluster,
  key: string,
  { from, to, halfway }: { from: RedisServer; to: RedisServer; halfway(): Promise<unknown> },
): Promise<void> {
  const slot = String(await slotOf(cluster.primaries, key));
  const source = await connectTo(from);
  const idOf = (server: RedisServer): Promise<string> => command(server, "CLUSTER", "MYID");
  const setSlot = (server: RedisServer, ...how: string[]): Promise<string> =>
    command(server, "CLUSTER", "SETSLOT", slot, ...how);
  try {
    await setSlot(to, "IMPORTING", await idOf(from));
    await setSlot(from, "MIGRATING", await idOf(to));
    const keys = await source.sendCommand<string[]>(["CLUSTER", "GETKEYSINSLOT", slot, "1000000"]);
    const half = Math.ceil(keys.length / 2);
    const migrate = ["MIGRATE", "127.0.0.1", String(to.port), "", "0", "20000", "KEYS"];
    for (const [index, one] of keys.entries()) {
      if (index === half) await halfway();
      await source.sendCommand([...migrate, one]);
    }
    const owner = await idOf(to);
    for (const server of new Set([to, from, ...cluster.primaries])) await setSlot(server, "NODE", owner);
  } finally {
    source.destroy();
  }
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
