// What befalls a redis-server, and what becomes of a log whose data is lost.
import { cp, rm } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { describeFaults } from "../brokers/faults.ts";
import { connect, numbered, numbers } from "../hub/client.ts";
import { startWorld } from "./world.ts";

describeFaults("redis-server", async () => {
  const { redis, ...world } = await startWorld();
  return { ...world, broker: redis };
});

describe("data that is lost", () => {
  it("emptied: clients who had seen some are told by a gap, and get only what is new", async () => {
    const { redis, hub, nearHub } = await startWorld();
    const [node, near] = [hub(), nearHub()];
    const client = await connect(near, { topics: "t" });
    const ids = await node.publish("t", numbered(5));
    await client.until(({ data }) => data.length === 5);
    const { createClient } = await import("@redis/client");
    const admin = await createClient({ url: redis.url }).connect();
    await admin.flushAll();
    admin.destroy();
    await expect(node.publish("t", { data: "x" }, { expectLast: ids[4] as string })).rejects.toMatchObject({
      code: "CONFLICT",
    });
    await client.until(({ gaps }) => gaps.length > 0);
    const id = await node.publish("t", { data: "new" });
    await client.until(({ data }) => data.includes('"new"'));
    expect(client.gaps).toEqual([expect.objectContaining({ reason: "epoch" })]);
    expect(client.data).toEqual([...numbers(5), '"new"']);
    const again = await connect(node, { topics: "t", from: "start", lastEventId: ids[4] });
    expect(again.gaps).toEqual([expect.objectContaining({ reason: "epoch", after: ids[4] })]);
    await again.until(({ data }) => data.length === 1);
    expect(again.lastEventId).toBe(id);
  });

  it("restored from an older copy: who had seen no more than that misses nothing, others are told", async () => {
    const { redis, hub } = await startWorld();
    const node = hub();
    const kept = await node.publish("t", numbered(5));
    await redis.kill();
    const copy = join(redis.folder, "..", `${redis.port}-copy`);
    await cp(join(redis.folder, "appendonlydir"), copy, { recursive: true });
    await redis.start();
    const client = await connect(node, { topics: "t" });
    const lost = await node.publish("t", numbered(3, 5));
    await client.until(({ data }) => data.length === 3);
    await redis.kill();
    await rm(join(redis.folder, "appendonlydir"), { recursive: true });
    await cp(copy, join(redis.folder, "appendonlydir"), { recursive: true });
    await rm(copy, { recursive: true });
    await redis.start();
    await client.until(({ gaps }) => gaps.length > 0);
    const next = await node.publish("t", { data: 100 });
    await client.until(({ data }) => data.includes("100"));
    expect(client.gaps).toEqual([expect.objectContaining({ reason: "epoch" })]);
    const stale = await connect(node, { topics: "t", lastEventId: lost[1], from: "start" });
    expect(stale.gaps).toEqual([expect.objectContaining({ reason: "epoch", after: lost[1] })]);
    const good = await connect(node, { topics: "t", lastEventId: kept[2] });
    await good.until(({ data }) => data.length === 3);
    expect([good.gaps, good.data]).toEqual([[], ["3", "4", "100"]]);
    expect(good.lastEventId).toBe(next);
  });
});
