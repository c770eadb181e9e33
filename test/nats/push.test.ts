// What the server pushes can get lost without anybody noticing. Nothing may follow from that but a short wait.
import { describe, expect, it } from "vitest";
import { connect, numbered, numbers } from "../hub/client.ts";
import { lossy } from "./lossy.ts";
import { startWorld } from "./world.ts";

const isPush = (subject: string): boolean => subject.startsWith("es-live.");

describe("a push that is lost", () => {
  it("B#9 is lost and A#10 comes: whoever gets A#10 has got B#9, and so has whoever resumes, here or elsewhere", async () => {
    const { nats, hub, nearHub } = await startWorld();
    const wire = await lossy(nats);
    // Nothing but the clock tells of the loss.
    const far = hub({ connection: wire.connection, checkInterval: 600_000, timeout: 20_000 });
    const near = nearHub();
    const client = await connect(far, { topics: ["A", "B"] });
    await near.publish("A", numbered(8, 1));
    await client.until(({ data }) => data.length === 8);
    // The push, and the answers to who asks for it, until the next one has come.
    wire.loses = (_, text) => text.includes("nine");
    await near.publish("B", { data: "nine" });
    await expect.poll(() => wire.lost.length).toBeGreaterThan(1);
    const ten = await near.publish("A", { data: "ten" });
    await expect.poll(() => far.read("A").then(({ events }) => events.at(-1)?.id)).toBe(ten);
    expect(client.data).toEqual(numbers(8, 1));
    wire.loses = () => false;
    await client.until(({ data }) => data.includes('"ten"'));
    expect(client.data).toEqual([...numbers(8, 1), '"nine"', '"ten"']);
    // A client that had A#8 last, and one that was told of more.
    for (const node of [far, near]) {
      for (const lastEventId of [client.events[7]?.lastEventId, ...client.checkpoints]) {
        const again = await connect(node, { topics: ["A", "B"], lastEventId });
        await again.until(({ data }) => data.includes('"ten"'));
        expect(again.data.slice(-2)).toEqual(['"nine"', '"ten"']);
      }
    }
  });

  it("that was the only one is asked for", async () => {
    const { nats, hub, nearHub } = await startWorld();
    const wire = await lossy(nats);
    wire.loses = isPush;
    const far = hub({ connection: wire.connection });
    const near = nearHub();
    const client = await connect(far, { topics: "t" });
    for (const text of ["a", "b", "c"]) await near.publish("t", { data: text });
    await client.until(({ data }) => data.length === 3);
    expect(client.data).toEqual(['"a"', '"b"', '"c"']);
    expect(wire.lost).toHaveLength(3);
  });
});

describe("a clock that", () => {
  it("has lost something begins anew, and what was missed is read", async () => {
    const { nats, hub, nearHub } = await startWorld();
    const wire = await lossy(nats);
    const far = hub({ connection: wire.connection, checkInterval: 600_000 });
    const near = nearHub();
    const client = await connect(far, { topics: ["A", "B"] });
    await near.publish("A", { data: 1 });
    await client.until(({ data }) => data.length === 1);
    // Neither the push nor the clock tells of it.
    wire.loses = (subject) => subject.endsWith(".B") && wire.lost.length < 2;
    await near.publish("B", { data: 2 });
    await near.publish("A", { data: 3 });
    await client.until(({ data }) => data.includes("3"));
    expect(wire.lost).toHaveLength(2);
    expect(client.data).toEqual(["1", "2", "3"]);
    expect(client.gaps).toEqual([]);
  });

  it("falls silent is replaced", async () => {
    const { nats, hub, nearHub } = await startWorld();
    const wire = await lossy(nats);
    const far = hub({ connection: wire.connection, checkInterval: 600_000 });
    const near = nearHub();
    const client = await connect(far, { topics: "t" });
    const clocks = () => [...wire.subscribed.keys()].filter((subject) => subject.endsWith(".clock.x"));
    const [clock] = clocks();
    wire.loses = (subject) => subject === clock || (clocks().length === 1 && /^es(-live)?\./.test(subject));
    await near.publish("t", { data: 1 });
    await client.until(({ data }) => data.length === 1);
    expect(clocks().length).toBeGreaterThan(1);
    expect(client.data).toEqual(["1"]);
  });
});

describe("a node", () => {
  it("follows a topic once, however many sessions, and a while longer than the last one", async () => {
    const { nats, hub, nearHub } = await startWorld();
    const wire = await lossy(nats);
    // Nothing makes the link anew, over which each topic would be followed once more.
    const lasting = { heartbeat: 60_000, checkInterval: 600_000 };
    const far = hub({ connection: wire.connection, unfollowDelay: 4000, ...lasting });
    const near = nearHub();
    const pushes = (): [string, number][] => [...wire.subscribed].filter(([subject]) => isPush(subject));
    const clients = [];
    for (let index = 0; index < 20; index++) clients.push(await connect(far, { topics: ["a", "b"] }));
    for (const client of clients) client.session.end("disconnected");
    await connect(far, { topics: ["a"] });
    expect(pushes().map(([, count]) => count)).toEqual([1, 1]);
    // It is fed nothing else.
    let pushed = 0;
    wire.loses = (subject) => {
      if (isPush(subject)) pushed++;
      return false;
    };
    await near.publish("c", { data: 1 });
    await expect
      .poll(
        async () => {
          pushed = 0;
          await near.publish("b", { data: 1 });
          return pushed;
        },
        { timeout: 20_000 },
      )
      .toBe(0);
  });

  it("idle clients get positions as the log moves on, on nodes that are pushed nothing of what moves it", async () => {
    const { hub, nearHub } = await startWorld();
    const far = hub();
    const near = nearHub();
    const client = await connect(far, { topics: "idle", heartbeat: 50 });
    const ids = await near.publish("busy", numbered(10));
    await client.until(({ checkpoints }) => checkpoints.includes(ids.at(-1) as string));
    expect(client.data).toEqual([]);
  });

  it("follows 10,000 topics, and comes back to them after its connection was cut", async () => {
    const { proxy, hub, nearHub } = await startWorld();
    // Who is busy with so many is not to be taken for silent, and to begin all of it anew.
    const far = hub({ heartbeat: 10_000, timeout: 30_000 });
    const near = nearHub();
    const names = Array.from({ length: 10_000 }, (_, index) => `topic ${index}`);
    const got = new Map<string, unknown[]>();
    const ready = names.map((name) => {
      const seen: unknown[] = [];
      got.set(name, seen);
      return far.subscribe(name, ({ data }) => seen.push(data)).ready;
    });
    await Promise.all(ready);
    const some = names.filter((_, index) => index % 100 === 0);
    await Promise.all(some.map((name) => near.publish(name, { data: 1 })));
    await expect
      .poll(() => some.every((name) => got.get(name)?.length === 1), { timeout: 20_000 })
      .toBe(true);
    proxy.cut();
    await Promise.all(some.map((name) => near.publish(name, { data: 2 })));
    await expect
      .poll(() => some.every((name) => got.get(name)?.length === 2), { timeout: 20_000 })
      .toBe(true);
    await Promise.all(some.map((name) => near.publish(name, { data: 3 })));
    await expect
      .poll(() => some.every((name) => got.get(name)?.length === 3), { timeout: 20_000 })
      .toBe(true);
    expect(some.map((name) => got.get(name))).toEqual(some.map(() => [1, 2, 3]));
  });
});
