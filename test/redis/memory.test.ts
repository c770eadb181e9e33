// Memory that is short: with `noeviction` Redis refuses what may need more of it. Publishing has to wait for better times;
// reading, opening, and removing what is over its age do not.
import type { Hub } from "everstream";
import { describe, expect, it, onTestFinished } from "vitest";
import { connectTo } from "../brokers/redis-cluster.ts";
import { connect, numbered, numbers } from "../hub/client.ts";
import { type RedisWorld, startWorld } from "./world.ts";

/** For one test. */
async function shortOf({ redis }: RedisWorld) {
  const admin = await connectTo(redis);
  onTestFinished(() => admin.destroy());
  return {
    admin,
    /** From now on Redis has no memory left. */
    none: () => admin.configSet("maxmemory", "1"),
    enough: () => admin.configSet("maxmemory", "0"),
  };
}

async function untilPublished(hub: Hub, topic: string, data: number): Promise<void> {
  const publish = () => hub.publish(topic, { data }, { publishId: String(data) }).catch(() => "");
  await expect.poll(publish, { timeout: 20_000 }).not.toBe("");
}

describe("a Redis without memory", () => {
  it("refuses what is published, and goes on with sessions, old and new, and of nodes that are new", async () => {
    const world = await startWorld();
    const memory = await shortOf(world);
    const hub = world.nearHub();
    await hub.publish("a", numbered(3));
    await hub.publish("b", numbered(3));
    const old = await connect(hub, { topics: "a" });
    await memory.none();
    await expect(hub.publish("a", { data: "lost" })).rejects.toMatchObject({ code: "LOG_FAILED" });
    const clients = [
      await connect(hub, { topics: "b", from: "start" }),
      await connect(world.nearHub(), { topics: ["a", "b"], from: "start" }),
    ];
    await clients[0]?.until(({ data }) => data.length === 3);
    await clients[1]?.until(({ data }) => data.length === 6);
    await memory.enough();
    await untilPublished(hub, "a", 3);
    await untilPublished(hub, "b", 3);
    await old.until(({ data }) => data.length === 1);
    await clients[0]?.until(({ data }) => data.length === 4);
    await clients[1]?.until(({ data }) => data.length === 8);
    expect(clients[0]?.data).toEqual(numbers(4));
    expect([old, ...clients].flatMap(({ gaps }) => gaps)).toEqual([]);
  });

  it("that is another one than before begins a new epoch all the same, and is read", async () => {
    const world = await startWorld();
    const memory = await shortOf(world);
    const hub = world.nearHub();
    const ids = await hub.publish("t", numbered(3));
    const client = await connect(hub, { topics: "t" });
    // As a restart leaves it.
    await memory.admin
      .multi()
      .hSet("everstream:{hub}:hub", "server", "another")
      .addCommand(["CONFIG", "SET", "maxmemory", "1"])
      .exec();
    const late = await connect(hub, { topics: "t", lastEventId: ids[0] });
    await late.until(({ data }) => data.length === 2);
    await memory.enough();
    await untilPublished(hub, "t", 3);
    await client.until(({ data }) => data.length === 1);
    await late.until(({ data }) => data.length === 3);
    expect([client.gaps, late.gaps, late.data]).toEqual([[], [], numbers(3, 1)]);
  });

  it("loses what is over its age, and so has memory again", async () => {
    const world = await startWorld();
    const memory = await shortOf(world);
    const hub = world.hub({}, { retention: { maxAge: 1500 } });
    // Is looked at first, since it was to lose something, and then is to be looked at again much later.
    await hub.publish("first", { data: 1 }, { retention: { maxAge: 1000 } });
    await hub.publish("first", { data: 2 }, { retention: { maxAge: 3_600_000 } });
    for (let topic = 0; topic < 50; topic++) await hub.publish(`t${topic}`, { data: topic });
    await memory.none();
    const kept = async (): Promise<number> => (await memory.admin.keys("everstream:{hub}:s:*")).length;
    await expect.poll(kept, { timeout: 20_000 }).toBe(1);
    await memory.enough();
    await untilPublished(hub, "first", 3);
  });
});
