// A stream on three servers, and what befalls them.
import { createHub, type Hub } from "everstream";
import { type NatsLogOptions, natsLog } from "everstream/nats";
import { describe, expect, it, onTestFinished } from "vitest";
import { type NatsCluster, startNatsCluster } from "../brokers/nats-cluster.ts";
import { connect, numbers } from "../hub/client.ts";

/** A cluster for one test, and hubs on it, which may hold more than the test publishes. */
async function startWorld(): Promise<{ cluster: NatsCluster; hub: (options?: NatsLogOptions) => Hub }> {
  const cluster = await startNatsCluster();
  const hubs: Hub[] = [];
  onTestFinished(async () => {
    await Promise.all(hubs.map((hub) => hub.close()));
    await cluster.dispose();
  });
  return {
    cluster,
    hub(options) {
      const quick = { checkInterval: 500, heartbeat: 500, timeout: 40_000 };
      const log = natsLog({ servers: cluster.urls, replicas: 3, ...quick, ...options });
      const hub = createHub({ log, retention: { maxEvents: 1e6, maxBytes: 1e9 } });
      hubs.push(hub);
      return hub;
    },
  };
}

describe("a stream with three replicas", () => {
  it("is made while the cluster is still coming together; of publishes that expect the same last one, one is taken", async () => {
    const { hub } = await startWorld();
    const nodes = [hub(), hub(), hub()];
    let last: string | null = null;
    for (let round = 0; round < 60; round++) {
      const expectLast = last;
      const results = await Promise.allSettled(
        nodes.map((node, index) => node.publish("t", { data: [round, index] }, { expectLast })),
      );
      const taken = results.filter((result) => result.status === "fulfilled");
      expect(results.map(codeOf).sort()).toEqual(["", "CONFLICT", "CONFLICT"]);
      last = taken[0]?.value as string;
    }
    const { events } = await (nodes[0] as Hub).read("t", { limit: 1000 });
    expect(events).toHaveLength(60);
  });

  it("loses nothing that was accepted when its leader is killed, and goes on; with the next one, too", async () => {
    const { cluster, hub } = await startWorld();
    const nodes = [hub(), hub()] as const;
    const clients = await Promise.all(nodes.map((node) => connect(node, { topics: "t" })));
    const accepted = new Map<number, string>();
    let next = 0;
    let isOver = false;
    const publish = async (node: Hub): Promise<void> => {
      while (!isOver) {
        const data = next++;
        accepted.set(data, await node.publish("t", { data }, { publishId: `p${data}` }));
      }
    };
    const publishing = [...nodes, ...nodes].map(publish);
    const reaches = (count: number) =>
      expect.poll(() => accepted.size, { timeout: 60_000 }).toBeGreaterThan(count);
    await reaches(200);
    for (let round = 0; round < 2; round++) {
      const leader = await cluster.leaderOf("everstream");
      await leader.kill();
      const before = accepted.size;
      await reaches(before + 200);
      await leader.start();
      await reaches(before + 600);
    }
    isOver = true;
    await Promise.all(publishing);
    for (const client of clients) {
      await client.until(({ data }) => data.length >= next);
      expect(client.gaps).toEqual([]);
      expect([...client.data].sort((a, b) => Number(a) - Number(b))).toEqual(numbers(next));
      for (const { data, lastEventId } of client.events) {
        expect(lastEventId).toBe(accepted.get(Number(data)));
      }
    }
    expect(clients[0]?.events).toEqual(clients[1]?.events);
  }, 180_000);
});

function codeOf(result: PromiseSettledResult<unknown>): string {
  return result.status === "fulfilled" ? "" : String((result.reason as { code?: unknown }).code);
}
