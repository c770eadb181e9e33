// What befalls a nats-server, and what becomes of a log whose data is lost.
import { cp, rm } from "node:fs/promises";
import { connect as connectNats } from "@nats-io/transport-node";
import { describe, expect, it } from "vitest";
import { describeFaults } from "../brokers/faults.ts";
import type { NatsServer } from "../brokers/nats-server.ts";
import { connect, numbered, numbers } from "../hub/client.ts";
import { startWorld } from "./world.ts";

describeFaults("nats-server", async () => {
  const { nats, ...world } = await startWorld();
  return { ...world, broker: nats };
});

describe("data that is lost", () => {
  it("the stream was deleted: clients who had seen some are told by a gap, and get only what is new", async () => {
    const { nats, hub, nearHub } = await startWorld();
    const [node, near] = [hub(), nearHub()];
    const client = await connect(near, { topics: "t" });
    const ids = await node.publish("t", numbered(5));
    await client.until(({ data }) => data.length === 5);
    await ask(nats, "STREAM.DELETE.everstream");
    await expect(node.publish("t", { data: "x" }, { expectLast: ids[4] as string })).rejects.toMatchObject({
      code: "CONFLICT",
    });
    await client.until(({ gaps }) => gaps.length > 0);
    await node.publish("t", { data: "new" });
    await client.until(({ data }) => data.includes('"new"'));
    expect(client.gaps).toEqual([expect.objectContaining({ reason: "epoch" })]);
    expect(client.data).toEqual([...numbers(5), '"new"']);
    const again = await connect(node, { topics: "t", from: "start", lastEventId: ids[4] });
    expect(again.gaps).toEqual([expect.objectContaining({ reason: "epoch", after: ids[4] })]);
    await again.until(({ data }) => data.length === 1);
    expect(again.data).toEqual(['"new"']);
  });

  it("the stream was purged: so too, though its numbers go on", async () => {
    const { nats, hub, nearHub } = await startWorld();
    const [node, near] = [hub(), nearHub()];
    const client = await connect(near, { topics: "t" });
    const ids = await node.publish("t", numbered(5));
    await client.until(({ data }) => data.length === 5);
    await ask(nats, "STREAM.PURGE.everstream");
    const other = await connect(node, { topics: "t", lastEventId: ids[1] });
    await client.until(({ gaps }) => gaps.length > 0);
    await node.publish("t", { data: "new" });
    for (const each of [client, other]) await each.until(({ data }) => data.includes('"new"'));
    expect(client.gaps).toEqual([expect.objectContaining({ reason: "epoch" })]);
    expect(other.gaps.length).toBeGreaterThan(0);
  });

  it("restored from an older copy: who had seen no more than that misses nothing, others are told", async () => {
    const { nats, hub } = await startWorld();
    const node = hub();
    const kept = await node.publish("t", numbered(5));
    await nats.stop();
    const copy = `${nats.folder}-copy`;
    await cp(nats.folder, copy, { recursive: true });
    await nats.start();
    const client = await connect(node, { topics: "t" });
    const lost = await node.publish("t", numbered(3, 5));
    await client.until(({ data }) => data.length === 3);
    await nats.kill();
    await rm(nats.folder, { recursive: true });
    await cp(copy, nats.folder, { recursive: true });
    await rm(copy, { recursive: true });
    await nats.start();
    await client.until(({ gaps }) => gaps.length > 0);
    const next = await node.publish("t", { data: 100 });
    await client.until(({ data }) => data.includes("100"));
    expect(client.gaps).toEqual([expect.objectContaining({ reason: "epoch" })]);
    const stale = await connect(node, { topics: "t", lastEventId: lost[1], from: "start" });
    expect(stale.gaps).toEqual([expect.objectContaining({ reason: "epoch", after: lost[1] })]);
    const good = await connect(node, { topics: "t", lastEventId: kept[2] });
    await good.until(({ data }) => data.length === 3);
    expect([good.gaps, good.data]).toEqual([[], ["3", "4", "100"]]);
    expect(good.lastEventId).toBe(next);
  });
});

/** Has JetStream do something behind the log's back. */
async function ask(nats: NatsServer, call: string): Promise<void> {
  const admin = await connectNats({ servers: nats.url });
  await admin.request(`$JS.API.${call}`);
  await admin.close();
}
