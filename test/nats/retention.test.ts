// What is trimmed also leaves the server, and what leaves the server is accounted for.
import { connect as connectNats } from "@nats-io/transport-node";
import { natsLog } from "everstream/nats";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import type { NatsServer } from "../brokers/nats-server.ts";
import { type Node, openNode } from "../logs/contract.ts";
import { natsForTests } from "./fixture.ts";
import { letPass } from "./world.ts";

const nats = natsForTests();
const KEEP_ALL = { maxEvents: 1e9, maxBytes: 1e12, maxAgeMs: Number.POSITIVE_INFINITY };
const TIMEOUT_MS = 20_000;
let names = 0;

async function open(): Promise<{ node: Node; name: string }> {
  const name = `retention-${++names}`;
  const node = await openNode(
    natsLog({ servers: nats.server.url, name, timeout: TIMEOUT_MS, sweepInterval: 0 }),
  );
  onTestFinished(() => node.connection.close());
  return { node, name };
}

/** How many messages the stream holds. */
async function messagesIn({ url }: NatsServer, name: string): Promise<number> {
  const admin = await connectNats({ servers: url });
  const info = await admin.request(`$JS.API.STREAM.INFO.${name}`);
  await admin.close();
  return (JSON.parse(info.string()) as { state: { messages: number } }).state.messages;
}

describe("natsLog's stream", () => {
  it("lets go of what is over a topic's count", async () => {
    const { node, name } = await open();
    const retention = { ...KEEP_ALL, maxEvents: 5 };
    for (let index = 0; index < 100; index++) await node.append("t", [String(index)], { retention });
    // By then nobody can want to know any more what became of a publish.
    letPass(2 * TIMEOUT_MS);
    await expect.poll(() => messagesIn(nats.server, name), { timeout: 20_000 }).toBeLessThan(10);
    const page = await node.read(["t"]);
    expect(page.entries.map(({ event }) => event.data)).toEqual(["95", "96", "97", "98", "99"]);
  });

  it("lets go of what is over its age, and tells through where", async () => {
    const { node, name } = await open();
    const retention = { ...KEEP_ALL, maxAgeMs: 1000 };
    const sequences: number[] = [];
    for (let index = 0; index < 40; index++) {
      sequences.push(
        ...(await node.append(`t${index % 4}`, [String(index)], { retention, now: 1000 + index })),
      );
    }
    await node.append("kept", ["x"], { now: 1 });
    // Those of the first 20 are over it. There is a mark of the epoch, and one of the age.
    await expect
      .poll(
        async () => {
          await node.connection.expire(2019);
          return messagesIn(nats.server, name);
        },
        { timeout: 20_000 },
      )
      .toBe(2 + 20 + 1);
    const { entries, topics } = await node.read(["t0", "t1", "t2", "t3", "kept"]);
    expect(entries.map(({ event }) => Number(event.data || 0))).toHaveLength(21);
    expect(topics[0]?.trimmedThrough).toBe(sequences[16]);
    // A node that comes later knows the same.
    const other = await openNode(natsLog({ servers: nats.server.url, name }));
    await other.connection.expire(2019);
    expect((await other.read(["t0", "t1"])).topics).toEqual(topics.slice(0, 2));
    await node.append("t0", ["more"], { retention, now: 2020 });
    expect((await other.read(["t0"])).topics[0]?.trimmedThrough).toBe(sequences[16]);
    await other.connection.close();
  });

  it("keeps what is over its age as long as its publishId is remembered, by the hub's clock", async () => {
    const { node, name } = await open();
    const retention = { ...KEEP_ALL, maxAgeMs: 1000 };
    const first = await node.append("t", ["x"], { retention, publishId: "p", now: 1000 });
    await node.append("u", ["x"], { retention, now: 1000 });
    for (const topic of ["t", "u"]) await node.append(topic, ["y"], { retention, now: 2500 });
    // What has no id is gone, and there are the marks of the epoch and of the age.
    const left = async (): Promise<number> => {
      await node.connection.expire(2500);
      return messagesIn(nats.server, name);
    };
    await expect.poll(left).toBeLessThan(2 + 4);
    const other = await openNode(natsLog({ servers: nats.server.url, name, timeout: TIMEOUT_MS }));
    onTestFinished(() => other.connection.close());
    expect(await other.append("t", ["x"], { retention, publishId: "p", now: 2500 })).toEqual(first);
    expect(await left()).toBe(2 + 3);
  });

  it("erases what is deleted", async () => {
    const { node, name } = await open();
    for (let index = 0; index < 30; index++) await node.append("t", ["secret"]);
    await node.append("t", [], { mark: "delete" });
    await expect.poll(() => messagesIn(nats.server, name), { timeout: 20_000 }).toBe(2);
  });

  it("erases what is deleted, and remembers under which publishIds it was stored", async () => {
    const { node, name } = await open();
    const ids = ["a", "b", "é".repeat(50)];
    const results: number[][] = [];
    for (const publishId of ids) results.push(await node.append("t", ["x", "y"], { publishId }));
    for (let round = 0; round < 2; round++) {
      await node.append("t", [], { mark: "delete" });
      await expect.poll(() => messagesIn(nats.server, name), { timeout: 20_000 }).toBe(2);
      // The message that says so is needed no more by what is kept.
      results.push(await node.append("t", ["later"], { publishId: `later ${round}` }));
      ids.push(`later ${round}`);
    }
    await node.append("t", [], { mark: "finish" });
    const other = await openNode(natsLog({ servers: nats.server.url, name, timeout: TIMEOUT_MS }));
    onTestFinished(() => other.connection.close());
    for (const [index, publishId] of ids.entries()) {
      expect(await other.append("t", ["x", "y"], { publishId })).toEqual(results[index]);
    }
  });

  it("forgets topics of which nothing is left after ten minutes, and a floor stands for them all", async () => {
    const { node, name } = await open();
    const other = await openNode(natsLog({ servers: nats.server.url, name }));
    onTestFinished(() => other.connection.close());
    const aged = { ...KEEP_ALL, maxAgeMs: 1000 };
    const now = Date.now();
    const kept = await node.append("kept", ["x"], { now });
    await node.append("aged", ["x"], { now, retention: aged });
    for (let index = 0; index < 20; index++) await node.append(`deleted ${index}`, ["x"], { now });
    for (let index = 0; index < 20; index++)
      await node.append(`deleted ${index}`, [], { mark: "delete", now });
    const names = ["aged", "deleted 0", "deleted 19"];
    const before = (await other.read([...names, "never"])).topics;
    expect(before.at(-1)?.trimmedThrough).toBe(0);
    // Only the clock of the wall goes on: nobody's deadline comes sooner.
    vi.useFakeTimers({ toFake: ["Date"], now: now + 300_000 });
    onTestFinished(() => void vi.useRealTimers());
    const expire = async (after: number): Promise<number> => {
      vi.setSystemTime(Date.now() + after);
      await node.connection.expire(Date.now());
      return messagesIn(nats.server, name);
    };
    // Five minutes later they are empty, and still known: as many messages, the epoch's mark and that of the age.
    await expect.poll(() => expire(0)).toBe(22 + 2);
    vi.setSystemTime(now + 601_000);
    // Left are what is kept, the epoch, the age and the floor.
    await expect.poll(() => expire(TIMEOUT_MS), { timeout: 30_000 }).toBe(4);
    const floor = Math.max(...before.map(({ last }) => last));
    for (const each of [node, other, await openNode(natsLog({ servers: nats.server.url, name }))]) {
      const { topics, entries } = await each.read([...names, "never", "kept"]);
      expect(entries.map(({ sequence }) => sequence)).toEqual(kept);
      expect(topics.slice(0, 4)).toEqual(
        Array.from({ length: 4 }, () => ({
          first: 0,
          last: 0,
          trimmedThrough: floor,
          deleted: false,
          finishedAt: 0,
        })),
      );
      if (each !== node && each !== other) await each.connection.close();
    }
    // They begin anew, behind all that was.
    const [anew] = await other.append("deleted 0", ["y"], { now: Date.now(), expectLast: null });
    expect(anew).toBeGreaterThan(floor);
    expect((await node.read(["deleted 0"])).topics[0]).toMatchObject({ first: anew, trimmedThrough: floor });
  });

  it("keeps what carries a publishId as long as that is remembered, trimmed or not", async () => {
    const { node, name } = await open();
    const retention = { ...KEEP_ALL, maxEvents: 1 };
    const results: number[][] = [];
    for (let index = 0; index < 20; index++) {
      results.push(await node.append("t", ["x"], { retention, publishId: `p${index}` }));
    }
    const other = await openNode(natsLog({ servers: nats.server.url, name }));
    for (let index = 0; index < 20; index++) {
      expect(await other.append("t", ["x"], { retention, publishId: `p${index}` })).toEqual(results[index]);
    }
    await other.connection.close();
  });
});
