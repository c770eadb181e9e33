// nats-server 2.9 may store the last messages of a stream a second time in the copy of a server that was killed: out of its raft log,
// where that holds messages that were refused, once it has forgotten their ids. From there on the copy has other sequences than the
// others. Nobody may believe it.
import { connect as connectNats, type NatsConnection } from "@nats-io/transport-node";
import { expect, it, onTestFinished } from "vitest";
import { connect, numbers } from "../hub/client.ts";
import { startClusterWorld } from "./cluster-world.ts";

const STREAM = "everstream";
/** As short as the log takes it. */
const REMEMBERED_MS = 30_000;
const ASKING = { timeout: 5000 };

it("a copy of the stream that differs from its leader's is believed by nobody", async () => {
  const { cluster, nearHub } = await startClusterWorld();
  const admin = await connectNats({ servers: cluster.urls });
  onTestFinished(() => admin.close());
  await makeStream(admin);
  const nodes = [nearHub(), nearHub(), nearHub()];
  let next = 0;
  // All nodes expect the same last message: what is refused for that stays in the servers' raft logs.
  for (let round = 0; round < 40; round++) {
    await Promise.all(nodes.map((node) => node.publish("t", { data: next++ })));
  }
  await Promise.all(nodes.map((node) => node.close()));
  const before = await lastOf(admin);
  const leader = await cluster.leaderOf(STREAM);
  const follower = cluster.servers.find((server) => server !== leader) ?? leader;
  await follower.kill();
  await new Promise((resolve) => setTimeout(resolve, REMEMBERED_MS + 1000));
  await follower.start();
  // Some copy has more than the leader.
  await expect.poll(() => hasAny(admin, before + 1), { timeout: 60_000 }).toBe(true);
  expect(await lastOf(admin)).toBe(before);

  const others = Array.from({ length: 6 }, () => nearHub());
  const clients = await Promise.all(
    others.map((node) => connect(node, { topics: ["t", "u"], from: "start" })),
  );
  for (let round = 0; round < 30; round++) {
    await Promise.all(
      others.map((node, index) => node.publish(index % 2 === 0 ? "t" : "u", { data: next++ })),
    );
  }
  for (const client of clients) {
    await client.until(({ data }) => data.length >= next);
    expect(client.gaps).toEqual([]);
    expect([...client.data].sort((a, b) => Number(a) - Number(b))).toEqual(numbers(next));
    expect(client.events).toEqual(clients[0]?.events);
  }
}, 180_000);

/** As the log makes it, but that ids are soon forgotten. */
async function makeStream(admin: NatsConnection): Promise<void> {
  const root = `${STREAM}.made-here`;
  const config = {
    name: STREAM,
    subjects: [`es.${root}.>`],
    storage: "file",
    num_replicas: 3,
    retention: "limits",
    discard: "new",
    allow_direct: true,
    duplicate_window: REMEMBERED_MS * 1e6,
    republish: { src: `es.${root}.t.>`, dest: `es-live.${root}.>` },
  };
  const make = () => admin.request(`$JS.API.STREAM.CREATE.${STREAM}`, JSON.stringify(config), ASKING);
  // A cluster that is coming together answers that it can't yet, or not at all.
  const made = () => make().then((answer) => answer.json<{ error?: unknown }>().error, String);
  await expect.poll(made, { timeout: 60_000 }).toBe(undefined);
}

async function lastOf(admin: NatsConnection): Promise<number> {
  const answer = await admin.request(`$JS.API.STREAM.INFO.${STREAM}`, "", ASKING);
  return answer.json<{ state: { last_seq: number } }>().state.last_seq;
}

/** Whether a copy, by chance any one, has a message there. */
async function hasAny(admin: NatsConnection, seq: number): Promise<boolean> {
  const found = await admin.request(`$JS.API.DIRECT.GET.${STREAM}`, JSON.stringify({ seq }), ASKING);
  return found.headers?.code !== 404;
}
