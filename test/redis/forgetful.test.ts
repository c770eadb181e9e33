// A Redis that forgets what it may forget: its scripts at any time, and what it keeps for nodes that have been silent for long.
import type { Hub } from "everstream";
import { expect, it, onTestFinished } from "vitest";
import { connectTo } from "../brokers/redis-cluster.ts";
import { connect } from "../hub/client.ts";
import { type RedisWorld, startWorld } from "./world.ts";

async function adminOf({ redis }: RedisWorld) {
  const admin = await connectTo(redis);
  onTestFinished(() => admin.destroy());
  return admin;
}

/** Publishes what says its writer and its number, in order, until it is stopped. Resolves to all of it. */
function publishInOrder(hub: Hub, writer: string): { stop(): Promise<string[]>; readonly count: number } {
  const published: string[] = [];
  let isStopped = false;
  const all = (async () => {
    while (!isStopped) {
      const several = [0, 1, 2].map((at) => `${writer}${published.length + at}`);
      await Promise.all(several.map((data) => hub.publish("t", { data })));
      published.push(...several.map((data) => JSON.stringify(data)));
    }
  })();
  return {
    async stop() {
      isStopped = true;
      await all;
      return published;
    },
    get count() {
      return published.length;
    },
  };
}

/** Has something done to the server ten times while two nodes publish and read, and looks whether they notice. */
async function undisturbed(world: RedisWorld, disturb: () => Promise<unknown>): Promise<void> {
  const hubs = [world.nearHub(), world.nearHub()] as const;
  const clients = await Promise.all(hubs.map((hub) => connect(hub, { topics: "t" })));
  const writers = [publishInOrder(hubs[0], "a"), publishInOrder(hubs[1], "b")] as const;
  for (let round = 0; round < 10; round++) {
    const counts = writers.map(({ count }) => count);
    await disturb();
    await expect
      .poll(() => writers.every(({ count }, index) => count > (counts[index] as number) + 10), {
        timeout: 30_000,
      })
      .toBe(true);
  }
  const published = [await writers[0].stop(), await writers[1].stop()] as const;
  for (const client of clients) {
    await client.until(({ data }) => data.length >= published[0].length + published[1].length);
    expect(client.gaps).toEqual([]);
    expect(client.data.filter((data) => data.startsWith('"a'))).toEqual(published[0]);
    expect(client.data.filter((data) => data.startsWith('"b'))).toEqual(published[1]);
  }
}

it("scripts that were flushed are brought again: nothing is lost, doubled or out of order", async () => {
  const world = await startWorld();
  const admin = await adminOf(world);
  await undisturbed(world, () => admin.scriptFlush());
});

it("nodes that Redis takes to be gone, as when they stood still for hours, are nodes again", async () => {
  const world = await startWorld();
  const admin = await adminOf(world);
  await undisturbed(world, async () => {
    const keys = await admin.keys("everstream:{hub}:*");
    await admin.del(keys.filter((key) => /\}:(c|n|nt|f):|\}:nodes$/.test(key)));
  });
});
