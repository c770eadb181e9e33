// What Redis pushes can get lost without anybody noticing. Nothing may follow from that but a short wait.
import { describe, expect, it } from "vitest";
import { connectTo } from "../brokers/redis-cluster.ts";
import { connect, numbered, numbers } from "../hub/client.ts";
import { isPush, startWorld } from "./world.ts";

/** Loses the next push that holds this text, and tells whether it has. */
function loseOne(proxy: { loses: ((chunk: Buffer) => boolean) | undefined }, text: string): () => boolean {
  let lost = false;
  proxy.loses = (chunk) => {
    if (lost || !isPush(chunk) || !chunk.includes(text)) return false;
    lost = true;
    return true;
  };
  return () => lost;
}

describe("a push that is lost", () => {
  it("B#9 is lost and A#10 comes: whoever gets A#10 has got B#9, and so has whoever resumes, here or elsewhere", async () => {
    const { proxy, hub, nearHub } = await startWorld();
    // Nothing but the next push tells of the loss.
    const far = hub({ checkInterval: 20_000 });
    const near = nearHub();
    const client = await connect(far, { topics: ["A", "B"] });
    await near.publish("A", numbered(8, 1));
    await client.until(({ data }) => data.length === 8);
    const isLost = loseOne(proxy, "nine");
    await near.publish("B", { data: "nine" });
    await expect.poll(isLost).toBe(true);
    expect(client.data).toEqual(numbers(8, 1));
    await near.publish("A", { data: "ten" });
    await client.until(({ data }) => data.includes('"ten"'));
    expect(client.data).toEqual([...numbers(8, 1), '"nine"', '"ten"']);
    // A client that had A#8 last, and one that was told of more.
    for (const node of [far, near]) {
      for (const lastEventId of [client.events[7]?.lastEventId, ...client.checkpoints]) {
        const again = await connect(node, { topics: ["A", "B"], lastEventId });
        await again.until(({ data }) => data.includes('"ten"'));
        expect(again.data.slice(-2)).toEqual(['"nine"', '"ten"']);
      }
    }
  });

  it("that was the last one is found out by the check", async () => {
    const { proxy, hub, nearHub } = await startWorld();
    const far = hub();
    const near = nearHub();
    const client = await connect(far, { topics: "t" });
    const isLost = loseOne(proxy, "lonely");
    await near.publish("t", { data: "lonely" });
    await client.until(({ data }) => data.length === 1);
    // The check may be quicker than the push.
    await expect.poll(isLost).toBe(true);
    expect(client.data).toEqual(['"lonely"']);
  });

  it("nothing comes any more, though the connection stands: it is replaced", async () => {
    const { proxy, hub, nearHub } = await startWorld();
    const far = hub({ timeout: 2000 });
    const near = nearHub();
    const client = await connect(far, { topics: "t" });
    const { opened } = proxy;
    // The first new connection fares no better.
    proxy.loses = (chunk) => isPush(chunk) && proxy.opened < opened + 2;
    await near.publish("t", { data: 1 });
    await client.until(({ data }) => data.length === 1);
    expect(proxy.opened).toBeGreaterThan(opened + 1);
    expect(client.gaps).toEqual([]);
  });
});

describe("idle clients", () => {
  it("get positions as the log moves on, on nodes that are pushed nothing of what moves it", async () => {
    const { hub, nearHub } = await startWorld();
    const far = hub();
    const near = nearHub();
    const client = await connect(far, { topics: "idle", heartbeat: 50 });
    const ids = await near.publish("busy", numbered(10));
    await client.until(({ checkpoints }) => checkpoints.includes(ids.at(-1) as string));
    expect(client.data).toEqual([]);
  });
});

describe("a node that is gone", () => {
  it("leaves nothing behind in Redis, whether it leaves in good order or not", async () => {
    const { redis, hub, nearHub } = await startWorld();
    const admin = await connectTo(redis);
    const far = hub();
    const near = nearHub();
    await connect(far, { topics: ["a", "b"] });
    await connect(near, { topics: ["a"] });
    expect(await admin.sCard("everstream:{hub}:f:a")).toBe(2);
    await far.close();
    await near.publish("a", { data: 1 });
    // What is left is removed by the others' sweeps.
    await expect.poll(() => admin.sCard("everstream:{hub}:f:a"), { timeout: 20_000 }).toBe(1);
    await expect.poll(() => admin.exists("everstream:{hub}:f:b"), { timeout: 20_000 }).toBe(0);
    admin.destroy();
  });
});
