import { connect } from "node:net";
import { describe, expect, it, onTestFinished } from "vitest";
import { startNats } from "./nats-server.ts";
import { startRedis } from "./redis-server.ts";
import { tcpProxy } from "./tcp-proxy.ts";

/** Sends a line and resolves to the first chunk of the answer; rejects where the connection ends before. */
function ask(port: number, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1" });
    socket.write(line);
    socket.once("data", (chunk) => {
      resolve(String(chunk));
      socket.destroy();
    });
    socket.once("error", reject);
    socket.once("close", () => reject(new Error("closed")));
  });
}

describe("the tests' own brokers", () => {
  it("a redis-server keeps what it has confirmed when it is killed", async () => {
    const redis = await startRedis();
    onTestFinished(() => redis.dispose());
    expect(await ask(redis.port, "SET a 1\r\n")).toBe("+OK\r\n");
    await redis.kill();
    await expect(ask(redis.port, "GET a\r\n")).rejects.toThrow();
    await redis.start();
    expect(await ask(redis.port, "GET a\r\n")).toBe("$1\r\n1\r\n");
  });

  it("a nats-server has JetStream, or not", async () => {
    for (const jetstream of [true, false]) {
      const nats = await startNats({ jetstream });
      onTestFinished(() => nats.dispose());
      const info = await ask(nats.port, "");
      expect(info.includes('"jetstream":true')).toBe(jetstream);
    }
  });

  it("a proxy cuts, refuses, and loses replies", async () => {
    const redis = await startRedis();
    onTestFinished(() => redis.dispose());
    const proxy = await tcpProxy(redis.port);
    onTestFinished(() => proxy.close());
    expect(await ask(proxy.port, "PING\r\n")).toBe("+PONG\r\n");
    proxy.stallReplies();
    const lost = ask(proxy.port, "INCR n\r\n");
    await expect.poll(() => ask(redis.port, "GET n\r\n")).toBe("$1\r\n1\r\n");
    proxy.cut();
    await expect(lost).rejects.toThrow();
    proxy.mend();
    proxy.refuses = true;
    await expect(ask(proxy.port, "PING\r\n")).rejects.toThrow();
    proxy.refuses = false;
    expect(await ask(proxy.port, "INCR n\r\n")).toBe(":2\r\n");
  });
});
