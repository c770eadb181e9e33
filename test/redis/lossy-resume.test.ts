import { redisLog } from "everstream/redis";
import { expect } from "vitest";
import { describeLossyResume, type Loss } from "../brokers/lossy-resume.ts";
import { command } from "../brokers/redis-cluster.ts";
import { type RedisServer, startRedis } from "../brokers/redis-server.ts";
import type { TcpProxy } from "../brokers/tcp-proxy.ts";
import { startLossyWorld } from "./world.ts";

/** To a replica that lacks some, of which the nodes hear one after the other, and back. */
const failOver: Loss = async ({ world: { broker }, ways, note, progress }) => {
  const primary = { url: `redis://127.0.0.1:${broker.port}`, port: broker.port };
  const replica = await startRedis();
  try {
    await replaced(primary, replica);
    await progress();
    await note();
    lead(ways[0], replica);
    await progress();
    await note();
    await broker.kill();
    lead(ways[1], replica);
    await progress();
    await broker.start();
    await replaced(replica, primary);
    await progress();
    await note(replica.port);
    for (const way of ways) lead(way, primary);
  } finally {
    await replica.dispose();
  }
};

/** Has one follow the other until it has about all, and be a primary from then on, while the other one does not know. */
async function replaced(primary: Address, replica: Address): Promise<void> {
  await command(replica, "REPLICAOF", "127.0.0.1", String(primary.port));
  const isUp = async (): Promise<boolean> =>
    (await command(replica, "INFO", "replication")).includes("master_link_status:up");
  await expect.poll(isUp, { timeout: 30_000 }).toBe(true);
  await command(replica, "REPLICAOF", "NO", "ONE");
}

type Address = Pick<RedisServer, "url" | "port">;

function lead(way: TcpProxy, { port }: Address): void {
  way.target = port;
  way.cut();
}

describeLossyResume({
  name: "Redis",
  start: startLossyWorld,
  log: (port) => redisLog({ url: `redis://127.0.0.1:${port}`, checkInterval: 100, timeout: 1500 }),
  more: [failOver],
});
