// The example that docs/cluster.md opens with, run as it stands: two processes on one redis-server.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rawRequest } from "everstream/testing";
import { expect, it, onTestFinished } from "vitest";
import { startRedis } from "../brokers/redis-server.ts";
import { bundleExample } from "../setup/doc-example.ts";

it("opens with an example that is published to on one machine and read on another, and leaves in good order", async () => {
  const redis = await startRedis();
  onTestFinished(() => redis.dispose());
  const last = 'server.once("listening", () => console.log(server.address().port));';
  const script = await bundleExample("docs/cluster.md", { last });
  const start = async (): Promise<{ child: ChildProcess; port: number }> => {
    const env = { ...process.env, PORT: "0", REDIS_URL: redis.url };
    const child = spawn(process.execPath, [script], { env, stdio: ["ignore", "pipe", "inherit"] });
    onTestFinished(() => {
      child.kill("SIGKILL");
    });
    const [port] = await once(child.stdout, "data");
    return { child, port: Number(port) };
  };
  const [a, b] = await Promise.all([start(), start()]);
  const client = await rawRequest(b.port, "/");
  await client.until("sse:live");
  const id = await (await fetch(`http://127.0.0.1:${a.port}/`, { method: "POST" })).text();
  await client.until('data: "fresh"');
  expect(client.events.at(-1)?.lastEventId).toBe(id);

  expect((await fetch(`http://127.0.0.1:${b.port}/healthz`)).status).toBe(200);
  const ended = once(b.child, "exit");
  b.child.kill("SIGTERM");
  // It says that it is leaving, or has left already.
  const health = () =>
    fetch(`http://127.0.0.1:${b.port}/healthz`).then(
      ({ status }) => status,
      () => 503,
    );
  await expect.poll(health, { interval: 5 }).toBe(503);
  expect(await client.ended).toBe("complete");
  expect(await ended).toEqual([0, null]);
  const again = await rawRequest(a.port, "/", { headers: { "Last-Event-ID": id } });
  await again.until("sse:live");
  await fetch(`http://127.0.0.1:${a.port}/`, { method: "POST" });
  await again.until('data: "fresh"');
  again.destroy();
});
