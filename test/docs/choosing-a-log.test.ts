// The example that docs/choosing-a-log.md opens with, run as it stands on either log that it names.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createHub } from "everstream";
import { lmdbLog } from "everstream/lmdb";
import { redisLog } from "everstream/redis";
import { expect, it, onTestFinished } from "vitest";
import { runChild } from "../../scripts/lib/child.js";
import { startRedis } from "../brokers/redis-server.ts";
import { bundleExample } from "../setup/doc-example.ts";

it("opens with an example that keeps events in a folder, or on a Redis that the environment names", async () => {
  const redis = await startRedis();
  const folder = await mkdtemp(join(tmpdir(), "everstream-example-"));
  onTestFinished(async () => {
    await redis.dispose();
    await rm(folder, { recursive: true });
  });
  const script = await bundleExample("docs/choosing-a-log.md", {
    last: "console.log(id); await hub.close();",
  });
  for (const url of ["", redis.url]) {
    const run = await runChild(process.execPath, [script], { cwd: folder, env: { REDIS_URL: url } });
    expect(run).toMatchObject({ code: 0 });
    const log = url === "" ? lmdbLog({ path: join(folder, "data/events") }) : redisLog({ url });
    const hub = createHub({ log });
    const { events } = await hub.read("orders");
    await hub.close();
    expect(events).toMatchObject([{ id: run.output.trim(), type: "paid", data: { order: 17 } }]);
  }
});
