import { createHub, memoryLog } from "everstream";
import { describe, expect, it, vi } from "vitest";
import { describeLog, type LogFixture, openNode } from "./contract.ts";
import { describeHubOver, remote } from "./hub-contract.ts";

const create = async (): Promise<LogFixture> => ({
  log: memoryLog(),
  restart: async () => memoryLog(),
  dispose: async () => undefined,
});

describeLog("memoryLog", create);
describeLog("memoryLog, far away", remote(create));
describeHubOver("memoryLog", create);
describeHubOver("memoryLog, far away", remote(create));

describe("memoryLog", () => {
  it("holds no more than its bytes over all topics: the oldest events go first, whatever their topic", async () => {
    const node = await openNode(memoryLog({ maxBytes: 100_000 }));
    for (let index = 0; index < 300; index++) await node.append(`t${index % 3}`, ["x".repeat(1000)]);
    const { entries, head, topics } = await node.read(["t0", "t1", "t2"]);
    expect(entries.length).toBeLessThan(100);
    expect(entries.length).toBeGreaterThan(50);
    // What is left is the newest, without a hole.
    expect(entries.map(({ sequence }) => sequence)).toEqual(
      Array.from({ length: entries.length }, (_, index) => head - entries.length + 1 + index),
    );
    const trimmed = topics.map(({ trimmedThrough }) => trimmedThrough);
    expect(Math.max(...trimmed)).toBe((entries[0]?.sequence ?? 0) - 1);
  });

  it("hands over in order to everybody, also where a feed's listener publishes at once", async () => {
    const log = memoryLog();
    const first = createHub({ log });
    const second = createHub({ log });
    const seen: unknown[] = [];
    await first.subscribe("t", ({ data }) => {
      if (data === 1) void first.publish("t", { data: 2 });
    }).ready;
    await second.subscribe("t", ({ data }) => seen.push(data)).ready;
    await second.publish("t", { data: 1 });
    await vi.waitUntil(() => seen.length >= 2, { interval: 1 });
    expect(seen).toEqual([1, 2]);
    await Promise.all([first.close(), second.close()]);
  });

  it("begins another epoch than any other one in this process", async () => {
    const connections = await Promise.all(Array.from({ length: 100 }, () => openNode(memoryLog())));
    const epochs = connections.map(({ connection }) => connection.epochs[0]?.epoch);
    expect(new Set(epochs).size).toBe(100);
  });

  it.each([0, -1, Number.NaN, "1"])("refuses maxBytes %s", (maxBytes) => {
    expect(() => memoryLog({ maxBytes: maxBytes as number })).toThrow(
      expect.objectContaining({ code: "INVALID_OPTION" }),
    );
  });
});
