import { createHub, memoryLog } from "everstream";
import { describe, expect, it } from "vitest";
import { until } from "../session/eventually.ts";
import { collectGarbage } from "../session/garbage.ts";
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

const KEEP_ALL = { maxEvents: 1e9, maxBytes: 1e12, maxAgeMs: Number.POSITIVE_INFINITY };

async function heapBytes(): Promise<number> {
  await collectGarbage();
  return process.memoryUsage().heapUsed;
}

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

  it("forgets 60,000 topics that were deleted, finished or over their age: neither memory nor its count of it grows", {
    timeout: 120_000,
  }, async () => {
    // The names that are remembered, with what is counted for each, are well within; a tenth of all would not be.
    const node = await openNode(memoryLog({ maxBytes: 2_000_000 }));
    node.take = () => undefined;
    const publishIdWindowMs = 1000;
    await node.append("kept", ["kept"]);
    const before = await heapBytes();
    for (let index = 0; index < 60_000; index++) {
      const topic = `short-lived-${index}`;
      const now = 10_000 + index;
      const isDeleted = index % 3 === 0;
      // What is deleted long before its time must not wait for that.
      const retention = { ...KEEP_ALL, maxAgeMs: isDeleted ? 86_400_000 : 1000 };
      const publishId = index % 4 === 0 ? "p" : undefined;
      await node.append(topic, ["1", "2"], { now, retention, publishId, publishIdWindowMs });
      if (index % 2 === 0) await node.append(topic, [], { mark: "finish", now, retention });
      if (isDeleted) await node.append(topic, [], { mark: "delete", now, retention });
      if (index % 100 === 0) await node.connection.expire(now);
    }
    await node.connection.expire(300_000);
    expect((await heapBytes()) - before).toBeLessThan(3_000_000);
    const page = await node.read(["kept", "short-lived-0", "short-lived-59999"]);
    expect(page.entries.map(({ topic }) => topic)).toEqual(["kept"]);
    // Only one of them is still known, the other is below the floor of all that are forgotten.
    expect(page.topics.map(({ last }) => last > 0)).toEqual([true, false, true]);
    await node.connection.close();
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
    await until(() => seen.length >= 2);
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
