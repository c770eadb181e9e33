// The example that docs/cluster.md opens with, run as it stands: processes on one redis-server, and one without any.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { rawRequest } from "everstream/testing";
import { expect, it, onTestFinished } from "vitest";
import { startRedis } from "../brokers/redis-server.ts";
import { bundleExample } from "../setup/doc-example.ts";

interface Node {
  readonly child: ChildProcess;
  readonly url: string;
}

/** What starts nodes on a redis-server; they are gone after the test. */
async function nodesOn(redisUrl: string): Promise<() => Promise<Node>> {
  const last = 'server.once("listening", () => console.log(server.address().port));';
  const script = await bundleExample("docs/cluster.md", { last });
  return async () => {
    const env = { ...process.env, PORT: "0", REDIS_URL: redisUrl };
    const child = spawn(process.execPath, [script], { env, stdio: ["ignore", "pipe", "inherit"] });
    onTestFinished(() => {
      child.kill("SIGKILL");
    });
    const [port] = await once(child.stdout, "data");
    return { child, url: `http://127.0.0.1:${Number(port)}` };
  };
}

it("opens with an example that is published to on one machine and read on another, and leaves in good order", async () => {
  const redis = await startRedis();
  onTestFinished(() => redis.dispose());
  const start = await nodesOn(redis.url);
  const [a, b] = await Promise.all([start(), start()]);
  const client = await rawRequest(b.url, "/");
  await client.until("sse:live");
  const published = await fetch(a.url, { method: "POST" });
  expect(published.status).toBe(201);
  const id = await published.text();
  await client.until('data: "fresh"');
  expect(client.events.at(-1)?.lastEventId).toBe(id);

  expect((await fetch(`${b.url}/healthz`)).status).toBe(200);
  const ended = once(b.child, "exit");
  b.child.kill("SIGTERM");
  // It says that it is leaving, or has left already.
  const health = () =>
    fetch(`${b.url}/healthz`).then(
      ({ status }) => status,
      () => 503,
    );
  await expect.poll(health, { interval: 5 }).toBe(503);
  expect(await client.ended).toBe("complete");
  expect(await ended).toEqual([0, null]);
  const again = await rawRequest(a.url, "/", { headers: { "Last-Event-ID": id } });
  await again.until("sse:live");
  await fetch(a.url, { method: "POST" });
  await again.until('data: "fresh"');
  again.destroy();
});

it("opens with an example whose process outlives a broker that is away", async () => {
  // Nothing listens at port 1.
  const start = await nodesOn("redis://127.0.0.1:1");
  const { url } = await start();
  expect((await fetch(url, { method: "POST" })).status).toBe(503);
  expect((await fetch(`${url}/healthz`)).status).toBe(200);
}, 60_000);
