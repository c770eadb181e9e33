// What a node follows: topics that somebody listens to, once each, and no longer than that.
import { createHub, type LogEntry } from "everstream";
import { redisLog } from "everstream/redis";
import { describe, expect, it, onTestFinished } from "vitest";
import { connectTo } from "../brokers/redis-cluster.ts";
import { connect } from "../hub/client.ts";
import { openNode } from "../logs/contract.ts";
import { freshName, sharedRedis } from "./fixture.ts";

const server = sharedRedis(["--appendonly", "no"]);

async function administrator() {
  const client = await connectTo(server.current);
  onTestFinished(() => client.destroy());
  return client;
}

/** How often a command was called, by the server's own account. */
function callsOf(stats: string, name: string): number {
  return Number(new RegExp(`cmdstat_${name}:calls=(\\d+)`).exec(stats)?.[1] ?? 0);
}

describe("a node that follows 10,000 topics", () => {
  it("does so in few calls, gets everything of them, and nothing of others", async () => {
    const admin = await administrator();
    const log = redisLog({ url: server.current.url, name: freshName() });
    const [node, other] = [await openNode(log), await openNode(log)];
    const topics = Array.from({ length: 10_000 }, (_, index) => `topic ${index}`);
    await admin.configResetStat();
    await node.follow(...topics);
    const stats = await admin.info("commandstats");
    expect(callsOf(stats, "evalsha") + callsOf(stats, "eval")).toBeLessThan(50);
    const batches = Array.from({ length: 100 }, (_, batch) =>
      topics.filter((_, index) => index % 100 === batch),
    );
    let last = 0;
    for (const batch of batches) {
      const sequences = await Promise.all(batch.map((topic) => other.append(topic, [topic])));
      await other.append("not followed", ["x"]);
      last = Math.max(last, ...sequences.flat());
    }
    await node.fed(last);
    expect(node.entries.map(({ topic }: LogEntry) => topic).sort()).toEqual([...topics].sort());
    expect(other.entries).toEqual([]);
    await node.connection.close();
    await other.connection.close();
  });
});

describe("a topic", () => {
  it("is followed once, however many listen; it is left a while after the last of them, and not when one comes back", async () => {
    const admin = await administrator();
    const name = freshName();
    const log = redisLog({ url: server.current.url, name, unfollowDelay: 300 });
    const hub = createHub({ log });
    onTestFinished(() => hub.close());
    const followers = (topic: string) => admin.sCard(`everstream:{${name}}:f:${topic}`);
    const clients = await Promise.all(Array.from({ length: 50 }, () => connect(hub, { topics: ["t", "u"] })));
    const single = await connect(hub, { topics: "t" });
    expect([await followers("t"), await followers("u")]).toEqual([1, 1]);
    await admin.configResetStat();
    for (const client of clients) client.leave();
    single.leave();
    const back = await connect(hub, { topics: "t" });
    await expect.poll(() => followers("u"), { timeout: 10_000 }).toBe(0);
    expect(await followers("t")).toBe(1);
    await hub.publish("t", { data: "still" });
    await back.until(({ data }) => data.length === 1);
  });
});
