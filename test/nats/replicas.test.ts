// A stream on three servers, and what befalls them.
import type { Hub } from "everstream";
import { describe, expect, it, vi } from "vitest";
import { connect, numbers } from "../hub/client.ts";
import { startClusterWorld } from "./cluster-world.ts";

// An election takes from 4 s to a minute.
vi.setConfig({ testTimeout: 300_000 });

describe("a stream with three replicas", () => {
  it("is made while the cluster is still coming together; of publishes that expect the same last one, one is taken", async () => {
    const { nearHub } = await startClusterWorld();
    const nodes = [nearHub(), nearHub(), nearHub()];
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
    expect(events.map(({ data }) => (data as number[])[0])).toEqual(
      Array.from({ length: 60 }, (_, at) => at),
    );
    for (let topic = 0; topic < 20; topic++) {
      const results = await Promise.allSettled(
        nodes.map((node) => node.publish(`first ${topic}`, { data: 0 }, { expectLast: null })),
      );
      expect(results.map(codeOf).sort()).toEqual(["", "CONFLICT", "CONFLICT"]);
    }
  });

  it("loses nothing that was accepted when its leader is killed, and goes on; with the next one, too", async () => {
    const { broker, nearHub } = await startClusterWorld();
    const nodes = [nearHub(), nearHub()] as const;
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
      expect.poll(() => accepted.size, { timeout: 120_000 }).toBeGreaterThan(count);
    await reaches(200);
    for (let round = 0; round < 2; round++) {
      await broker.kill();
      const before = accepted.size;
      await reaches(before + 200);
      await broker.start();
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
  });
});

function codeOf(result: PromiseSettledResult<unknown>): string {
  return result.status === "fulfilled" ? "" : String((result.reason as { code?: unknown }).code);
}

it("without a majority nothing is taken, and what waits is taken as soon as there is one again", async () => {
  const { cluster, nearHub } = await startClusterWorld();
  const node = nearHub();
  const short = nearHub({ timeout: 5000 });
  const client = await connect(node, { topics: "t" });
  await node.publish("t", { data: 0 });
  const publish = () => short.publish("t", { data: 1 }, { publishId: "one" }).catch(() => "");
  await expect.poll(publish, { timeout: 60_000 }).not.toBe("");
  const [first, second] = cluster.servers;
  await Promise.all([first?.kill(), second?.kill()]);
  await expect(short.publish("t", { data: -1 })).rejects.toMatchObject({ code: "LOG_FAILED" });
  const waiting = node.publish("t", { data: 2 });
  await first?.start();
  await waiting;
  await client.until(({ data }) => data.includes("2"));
  expect(client.gaps).toEqual([]);
  // What failed may have been stored: nobody could say.
  expect(client.data.filter((data) => data !== "-1")).toEqual(["0", "1", "2"]);
});
