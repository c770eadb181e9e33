// The moments in which a node's mailbox is made, is gone, or does not begin: nobody waits for ever, and nothing ends the process.
import { redisLog } from "everstream/redis";
import { describe, expect, it, onTestFinished } from "vitest";
import { command, connectTo } from "../brokers/redis-cluster.ts";
import type { TcpProxy } from "../brokers/tcp-proxy.ts";
import { connect } from "../hub/client.ts";
import { isPush, startWorld } from "./world.ts";

/** The answer to the call that makes a mailbox: the epochs, and the head. Where no topic is followed, it is to begin next. */
const JOINED = /\*3\r\n\$2\r\nOK\r\n\$\d+\r\n\d+:\d+[ \d:]*\r\n/;
/** Longer than any test takes: who waits for it never ends. */
const FOR_EVER_MS = 600_000;

/** Has nothing come through any more once a mailbox is made, and only has to begin. Tells whether it is so. */
function stallBeforeItBegins(proxy: TcpProxy): () => boolean {
  let isStalled = false;
  proxy.loses = (chunk) => {
    if (isStalled || !JOINED.test(chunk.toString("latin1"))) return false;
    isStalled = true;
    setImmediate(() => proxy.stall());
    return false;
  };
  return () => isStalled;
}

describe("a mailbox", () => {
  it("whose making is cut off by silence is made again, and nothing else comes of it", async () => {
    const { proxy, hub, nearHub } = await startWorld();
    const [node, near] = [hub({ timeout: 2000 }), nearHub()];
    await node.position();
    const isStalled = stallBeforeItBegins(proxy);
    proxy.cut();
    // Three connections came back, and one has been given up for another since.
    await expect.poll(() => isStalled() && proxy.opened > 6).toBe(true);
    proxy.cut();
    proxy.mend();
    const client = await connect(node, { topics: "t" });
    await near.publish("t", { data: 1 });
    await client.until(({ data }) => data.length === 1);
    expect([client.gaps, client.data]).toEqual([[], ["1"]]);
  });

  it("that Redis has dropped meanwhile is made anew: who asked for a topic then gets it", async () => {
    const { redis, proxy, hub, nearHub } = await startWorld();
    const admin = await connectTo(redis);
    onTestFinished(() => admin.destroy());
    // No check is to find out before.
    const node = hub({ checkInterval: 20_000 });
    const client = await connect(node, { topics: "old" });
    const [listener] = /^id=(\d+)/.exec(
      await admin.sendCommand<string>(["CLIENT", "LIST", "TYPE", "PUBSUB"]),
    ) as [string];
    let isUnknown = false;
    proxy.loses = (chunk) => {
      isUnknown ||= chunk.includes("UNKNOWN");
      return false;
    };
    proxy.refuses = true;
    await admin.sendCommand(["CLIENT", "KILL", "ID", listener.slice(3)]);
    // It is posted to nobody, and so there is nobody.
    const near = nearHub();
    await near.publish("old", { data: 1 });
    const opening = connect(node, { topics: "new" });
    await expect.poll(() => isUnknown).toBe(true);
    proxy.refuses = false;
    const late = await opening;
    await near.publish("new", { data: 2 });
    await late.until(({ data }) => data.includes("2"));
    await client.until(({ data }) => data.includes("1"));
    expect([late.gaps, client.gaps]).toEqual([[], []]);
  });

  it("that does not begin holds up nobody who closes the hub, be it before or after data was lost", async () => {
    for (const isEmptied of [false, true]) {
      const { redis, proxy, hub } = await startWorld();
      const node = hub({ timeout: FOR_EVER_MS });
      await connect(node, { topics: "t" });
      let pushes = 0;
      proxy.loses = (chunk) => isPush(chunk) && ++pushes > 0;
      if (isEmptied) await command(redis, "FLUSHALL");
      const publishing = isEmptied ? node.publish("t", { data: 1 }).catch(({ code }) => code) : "LOG_CLOSED";
      if (!isEmptied) await command(redis, "CLIENT", "KILL", "TYPE", "PUBSUB");
      await expect
        .poll(async () => pushes > 0 && (await command(redis, "EXISTS", "everstream:{hub}:hub")) === "1")
        .toBe(true);
      await node.close();
      expect(await publishing).toMatch(/^(LOG|HUB)_CLOSED$/);
    }
  });

  it("of a new epoch follows what is asked for while the feed is told of it; what was asked for before is refused", async () => {
    const { redis } = await startWorld();
    let answer: (head: Promise<number>) => void = () => undefined;
    const asked = new Promise<number>((resolve) => {
      answer = resolve;
    });
    const connection = await redisLog({ url: redis.url, checkInterval: 20_000, timeout: 10_000 }).open({
      onEntries: () => undefined,
      onEpoch: () => answer(Promise.resolve(connection.follow("late"))),
    });
    onTestFinished(() => connection.close());
    await command(redis, "FLUSHALL");
    const early = expect(connection.follow("early")).rejects.toMatchObject({ code: "LOG_FAILED" });
    expect(await asked).toBe(0);
    await early;
  });
});
