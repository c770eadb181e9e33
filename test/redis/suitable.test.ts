// Servers that a log can't stand on, and options that mean nothing: each says what to do about it.

import { createClient } from "@redis/client";
import { createHub } from "everstream";
import { redisLog } from "everstream/redis";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { connectTo } from "../brokers/redis-cluster.ts";
import { type RedisServer, startRedis } from "../brokers/redis-server.ts";
import { tcpProxy } from "../brokers/tcp-proxy.ts";
import { readText } from "../setup/repository.ts";

/** As docs/logs.md has them. */
const RIGHTS = (/&everstream:\* (.*)/.exec(readText("docs/logs.md"))?.[1] ?? "").split(" ");

let redis: RedisServer;
beforeAll(async () => {
  const args = [
    ["--requirepass", "secret"],
    ["--user", "default", "on", ">secret", "~*", "&*", "+@all"],
    ["--user", "app", "on", ">app", "~everstream:*", "&everstream:*", ...RIGHTS],
    ["--user", "poor", "on", ">poor", "~everstream:*", "&everstream:*", "+@all", "-xadd"],
    ["--user", "elsewhere", "on", ">elsewhere", "~other:*", "&*", "+@all"],
    ["--user", "deaf", "on", ">deaf", "~*", "&other:*", "+@all"],
  ];
  redis = await startRedis(args.flat());
});
afterAll(() => redis.dispose());

function urlOf(user: string): string {
  return `redis://${user}:${user}@127.0.0.1:${redis.port}`;
}

/** What the first use of a hub fails with. */
async function failureOf(options: Parameters<typeof redisLog>[0]): Promise<unknown> {
  const hub = createHub({ log: redisLog(options) });
  try {
    return await hub.publish("t", { data: 1 });
  } catch (error) {
    return error;
  } finally {
    await hub.close();
  }
}

it("keys that another program writes to: reading says so", async () => {
  const hub = createHub({ log: redisLog({ url: urlOf("app"), name: "foreign" }) });
  const client = createClient({ url: `redis://default:secret@127.0.0.1:${redis.port}` });
  onTestFinished(async () => {
    client.destroy();
    await hub.close();
  });
  await client.connect();
  await hub.publish("t", { data: 1 });
  await client.xAdd("everstream:{foreign}:s:t", "*", { x: "y" });
  await expect(hub.read("t")).rejects.toMatchObject({
    code: "LOG_FAILED",
    message: expect.stringContaining("another program"),
  });
});

describe("a server that can't be used", () => {
  it("is not there: LOG_FAILED, when the time is over", async () => {
    // A port that is free now may be another test's in a moment; on this one nobody listens.
    const error = await failureOf({ url: "redis://127.0.0.1:1", timeout: 3000 });
    expect(error).toMatchObject({ code: "LOG_FAILED", message: expect.stringContaining("ECONNREFUSED") });
  });

  it.each([
    ["a wrong password", "default:wrong@"],
    ["no password", ""],
    ["a user that is not known", "nobody:nobody@"],
  ])("refuses %s: LOG_UNSUITABLE at once", async (_, user) => {
    const error = await failureOf({ url: `redis://${user}127.0.0.1:${redis.port}`, timeout: 30_000 });
    expect(error).toMatchObject({ code: "LOG_UNSUITABLE", message: expect.stringContaining("password") });
  });

  it.each([
    ["6.0.16", 3],
    ["5.0.14", 2],
  ] as const)("is Redis %s: LOG_UNSUITABLE at once, by what it says of itself", async (version, RESP) => {
    const proxy = await tcpProxy(redis.port);
    onTestFinished(() => proxy.close());
    proxy.alters = (chunk) => {
      const text = chunk.toString("latin1");
      // As long as it was.
      return Buffer.from(
        text.replace(/redis_version:\S+/, (own) => `redis_version:${version}`.padEnd(own.length)),
        "latin1",
      );
    };
    const client = createClient({ url: `redis://default:secret@127.0.0.1:${proxy.port}`, RESP });
    const error = await failureOf({ client, timeout: 30_000 });
    expect(error).toMatchObject({
      code: "LOG_UNSUITABLE",
      message: expect.stringContaining(`This is Redis ${version}, and the log needs what came with 6.2`),
    });
  });

  it("does not say which one it is: LOG_UNSUITABLE, since a loss would not be noticed", async () => {
    const proxy = await tcpProxy(redis.port);
    onTestFinished(() => proxy.close());
    proxy.alters = (chunk) => Buffer.from(chunk.toString("latin1").replace("run_id:", "row_id:"), "latin1");
    const error = await failureOf({ url: `redis://default:secret@127.0.0.1:${proxy.port}`, timeout: 30_000 });
    expect(error).toMatchObject({ code: "LOG_UNSUITABLE", message: expect.stringContaining("run_id") });
  });

  it("is of before 6.0 and does not know a client's first words: LOG_UNSUITABLE at once", async () => {
    const old = await startRedis(["--rename-command", "HELLO", ""]);
    onTestFinished(() => old.dispose());
    const error = await failureOf({ url: old.url, timeout: 30_000 });
    expect(error).toMatchObject({ code: "LOG_UNSUITABLE", message: expect.stringContaining("before 6.0") });
  });

  it.each(["poor", "elsewhere", "deaf"])(
    "lets the user %s not do all that is needed: LOG_UNSUITABLE",
    async (user) => {
      const error = await failureOf({ url: urlOf(user), timeout: 30_000 });
      expect(error).toMatchObject({
        code: "LOG_UNSUITABLE",
        message: expect.stringContaining("docs/logs.md"),
      });
    },
  );

  it("takes a user who may do what docs/logs.md lists", async () => {
    expect(await failureOf({ url: urlOf("app") })).toEqual(expect.stringMatching(/^[0-9a-z]+-1$/));
  });

  it("would throw events away when memory is short: LOG_UNSUITABLE, which says why", async () => {
    const evicting = await startRedis(["--maxmemory-policy", "allkeys-lru"]);
    const error = await failureOf({ url: evicting.url });
    expect(error).toMatchObject({
      code: "LOG_UNSUITABLE",
      message: expect.stringContaining("`maxmemory-policy` is allkeys-lru"),
    });
    await evicting.dispose();
  });

  it("has no memory left: publishing fails and says so, reading goes on, and it is over when there is some", async () => {
    const small = await startRedis(["--save", ""]);
    const admin = await connectTo(small);
    const hub = createHub({ log: redisLog({ url: small.url }) });
    await hub.publish("t", { data: 1 });
    await admin.configSet("maxmemory", "1");
    for (let round = 0; round < 3; round++) {
      await expect(hub.publish("t", { data: "lost" })).rejects.toMatchObject({
        code: "LOG_FAILED",
        message: expect.stringContaining("maxmemory"),
      });
    }
    await admin.configSet("maxmemory", "0");
    await expect.poll(() => hub.publish("t", { data: 2 }).catch(() => ""), { timeout: 10_000 }).not.toBe("");
    expect((await hub.read("t")).events.map(({ data }) => data)).toEqual([1, 2]);
    await hub.close();
    admin.destroy();
    await small.dispose();
  });
});

describe("options", () => {
  const url = "redis://127.0.0.1:6379";
  it.each([
    [undefined, "url"],
    [{}, "url"],
    [{ url: "http://a" }, "redis://"],
    [{ url: 5 }, "redis://"],
    [{ url: "redis://h:port" }, "`url` can't be read"],
    [{ url: "redis://h:99999" }, "`url` can't be read"],
    [{ url: "redis://" }, "names no host"],
    [{ url: "redis://h/one" }, "database"],
    [{ url: "redis://u:%zz@h" }, "%XX"],
    [{ url, client: { duplicate: () => undefined } }, "either"],
    [{ client: {} }, "createClient"],
    [{ url, name: "{a}" }, "name"],
    [{ url, name: "" }, "name"],
    [{ url, prefix: "{" }, "prefix"],
    [{ url, offline: "no" }, "offline"],
    [{ url, timeout: 0 }, "timeout"],
    [{ url, maxPending: 1.5 }, "maxPending"],
    [{ url, waitReplicas: -1 }, "waitReplicas"],
    [{ url, timeout: Number.POSITIVE_INFINITY }, "timeout"],
    [{ url, timeout: 3e9 }, "timeout"],
    [{ url, checkInterval: 1 }, "checkInterval"],
    [{ url, checkInterval: 60_000 }, "from 10 to 20000"],
  ])("%j are refused, and the message names what", (options, name) => {
    let error: unknown;
    try {
      redisLog(options as unknown as Parameters<typeof redisLog>[0]);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code: "INVALID_OPTION", message: expect.stringContaining(name) });
  });
});
