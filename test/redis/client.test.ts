// A client of the user's own is a pattern: its way of connecting is taken over, and it is left alone.
import { createClient, RESP_TYPES } from "@redis/client";
import { createHub } from "everstream";
import { redisLog } from "everstream/redis";
import { expect, it, onTestFinished } from "vitest";
import { connectTo } from "../brokers/redis-cluster.ts";
import { startRedis } from "../brokers/redis-server.ts";
import { connect, numbered, numbers } from "../hub/client.ts";

it("takes over user, database and password, not how replies are read, and closes only what is its own", async () => {
  const redis = await startRedis(["--user", "app", "on", ">secret", "~*", "&*", "+@all"]);
  const admin = await connectTo(redis);
  onTestFinished(async () => {
    admin.destroy();
    await redis.dispose();
  });
  const connections = async (): Promise<string[]> =>
    (await admin.sendCommand<string>(["CLIENT", "LIST"]))
      .split("\n")
      .filter((line) => line.includes("user=app"));
  for (const RESP of [2, 3] as const) {
    const client = createClient({
      url: redis.url,
      username: "app",
      password: "secret",
      database: 3,
      RESP,
      commandOptions: { typeMapping: { [RESP_TYPES.BLOB_STRING]: Buffer } },
    });
    const hub = createHub({ log: redisLog({ client, name: `resp-${RESP}` }) });
    const reader = await connect(hub, { topics: "t" });
    await hub.publish("t", numbered(3));
    await reader.until(({ data }) => data.length === 3);
    expect(reader.data).toEqual(numbers(3));
    expect(client.isOpen).toBe(false);
    const own = await connections();
    expect(own).toHaveLength(3);
    for (const line of own) expect(line).toContain("db=3");
    await client.connect();
    await hub.close();
    await expect.poll(async () => (await connections()).length).toBe(1);
    expect(String(await client.ping())).toBe("PONG");
    client.destroy();
    await expect.poll(async () => (await connections()).length).toBe(0);
  }
});
