// The example of Redis in docs/logs.md, run as it stands.
import { createHub, type HubEvent } from "everstream";
import { redisLog } from "everstream/redis";
import { expect, it, vi } from "vitest";
import { runExample } from "../setup/doc-example.ts";
import { sharedRedis } from "./fixture.ts";

const server = sharedRedis();

it("docs/logs.md has an example that runs, on one machine and for others", async () => {
  const { url } = server.current;
  vi.stubEnv("REDIS_URL", url);
  const other = createHub({ log: redisLog({ url }) });
  const seen: HubEvent[] = [];
  await other.subscribe("orders", (event) => void seen.push(event)).ready;
  const { values } = await runExample("docs/logs.md", { below: "Redis", wanted: ["hub"] });
  await vi.waitUntil(() => seen.length > 0, { timeout: 20_000 });
  expect(seen[0]).toMatchObject({ type: "paid", data: { order: 17 } });
  await Promise.all([other.close(), (values.hub as { close(): Promise<void> }).close()]);
  vi.unstubAllEnvs();
});
