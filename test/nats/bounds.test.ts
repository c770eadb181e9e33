// What goes wrong for long does not pile up, neither here nor on the server.
import { connect as connectNats } from "@nats-io/transport-node";
import { natsLog } from "everstream/nats";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { Link } from "../../src/logs/nats/link.ts";
import { settingsOf } from "../../src/logs/nats/options.ts";
import { type StreamInfo, streamInfo } from "../../src/logs/nats/stream.ts";
import type { NatsServer } from "../brokers/nats-server.ts";
import { connect } from "../hub/client.ts";
import { openNode } from "../logs/contract.ts";
import { lossy } from "./lossy.ts";
import { letPass, startWorld } from "./world.ts";

const KEEP_ALL = { maxEvents: 1e9, maxBytes: 1e12, maxAgeMs: Number.POSITIVE_INFINITY };

/** Listens to what JetStream is asked. */
async function tap({ url }: NatsServer, call: string): Promise<string[]> {
  const admin = await connectNats({ servers: url });
  onTestFinished(() => admin.close());
  const asked: string[] = [];
  admin.subscribe(`$JS.API.${call}`, { callback: (_, { subject }) => void asked.push(subject) });
  await admin.flush();
  return asked;
}

describe("while the server is away", () => {
  it("reads that are given up are not made up for when it is back", async () => {
    const { nats, proxy, hub } = await startWorld();
    const node = hub({ timeout: 2000 });
    await expect.poll(() => node.publish("t", { data: 0 }).catch(() => "")).not.toBe("");
    const asked = await tap(nats, "DIRECT.GET.>");
    proxy.refuses = true;
    proxy.cut();
    // The first one may still have gone out.
    await expect(node.read("first")).rejects.toMatchObject({ code: "LOG_FAILED" });
    const topics = Array.from({ length: 200 }, (_, index) => `topic ${index}`);
    const results = await Promise.allSettled(topics.map((topic) => node.read(topic)));
    expect(new Set(results.map(({ status }) => status))).toEqual(new Set(["rejected"]));
    proxy.refuses = false;
    await expect
      .poll(() =>
        node.read("last").then(
          ({ events }) => events.length,
          () => -1,
        ),
      )
      .toBe(0);
    expect(asked.length).toBeLessThan(20);
  });

  it("a node that is owed entries does nothing but try to come back", async () => {
    const { nats, hub, nearHub } = await startWorld();
    const wire = await lossy(nats);
    const far = hub({ connection: wire.connection, checkInterval: 600_000, heartbeat: 10_000 });
    const near = nearHub();
    const client = await connect(far, { topics: "t" });
    let told = 0;
    wire.loses = (subject, text) => {
      if (subject.endsWith(".t") && text === "") told++;
      return text.includes("missed");
    };
    await near.publish("t", { data: "missed" });
    await expect.poll(() => told).toBeGreaterThan(0);
    await nats.stop();
    const timers = vi.spyOn(globalThis, "setTimeout");
    onTestFinished(() => timers.mockRestore());
    const timersOf = (isIt: (ms: number) => boolean) =>
      timers.mock.calls.filter(([, ms]) => ms !== undefined && isIt(ms)).length;
    // Tries to come back have a part of chance in them.
    await expect.poll(() => timersOf((ms) => !Number.isInteger(ms)), { interval: 300 }).toBeGreaterThan(4);
    expect(timersOf((ms) => ms === 5)).toBeLessThan(5);
    wire.loses = () => false;
    await nats.start();
    await client.until(({ data }) => data.length === 1);
    expect(client.data).toEqual(['"missed"']);
  });
});

describe("a reader of many messages", () => {
  const MESSAGES = 16;

  /** A link to a stream over a wire, and a question for the messages of a topic. */
  async function linked(timeout: number) {
    const { nats, nearHub } = await startWorld();
    const near = nearHub();
    for (let data = 0; data < MESSAGES; data++) await near.publish("t", { data });
    const wire = await lossy(nats);
    const link = new Link(wire.connection, settingsOf({ timeout }));
    onTestFinished(() => link.end(new Error("the test is over")));
    const { config } = (await streamInfo(link)) as StreamInfo;
    const subject = (config.subjects?.[0] ?? "").replace(">", "t.t");
    return { wire, link, question: { subject, from: 1, max: 100 } };
  }

  it("does not listen any more for what it has given up", async () => {
    const { wire, link, question } = await linked(4000);
    wire.loses = (subject) => subject.startsWith("es.");
    const before = wire.open();
    await expect(link.fetch(question)).rejects.toMatchObject({ name: "NoAnswer" });
    expect(wire.lost.length).toBeGreaterThan(0);
    expect(wire.open()).toEqual(before);
  });

  it("is given as long as something comes", async () => {
    const { wire, link, question } = await linked(10_000);
    wire.holds = (subject) => subject.startsWith("es.");
    const reading = link.fetch(question);
    await expect.poll(() => wire.held.length).toBe(MESSAGES);
    // Longer altogether than an answer may take, and none of them as long as that.
    const eachMs = (1.1 * link.answerMs) / MESSAGES;
    for (const take of wire.held) {
      await new Promise((resolve) => setTimeout(resolve, eachMs));
      take();
    }
    expect(await reading).toHaveLength(MESSAGES);
  });
});

describe("over a connection of the user's", () => {
  it("logs that come and go leave nothing behind", async () => {
    const { nats } = await startWorld();
    const wire = await lossy(nats);
    for (let index = 0; index < 5; index++) {
      const node = await openNode(natsLog({ connection: wire.connection }));
      await node.append("t", [String(index)]);
      await node.connection.close();
    }
    expect(wire.open()).toEqual([]);
    expect(wire.watched).toBe(1);
  });

  it("its statuses may fail: a log is as good as cut off then, and says so", async () => {
    const { nats } = await startWorld();
    const { connection } = await lossy(nats);
    let fail: () => void = () => undefined;
    const failing = new Promise<never>((_, reject) => {
      fail = () => reject(new Error("no statuses any more"));
    });
    connection.status = () => ({
      [Symbol.asyncIterator]: () => ({ next: () => failing }),
    });
    const node = await openNode(natsLog({ connection, timeout: 20_000, offline: "fail" }));
    await node.append("t", ["a"]);
    fail();
    await expect.poll(() => node.append("t", ["b"]).then(String, codeOf)).toBe("LOG_FAILED");
    await node.connection.close();
  });
});

function codeOf(error: unknown): string {
  return String((error as { code?: unknown }).code);
}

describe("what was pushed ahead of the clock", () => {
  it("of a topic that nobody follows any more does not take up room for ever", async () => {
    const { nats, hub, nearHub } = await startWorld();
    const wire = await lossy(nats);
    const far = hub({
      connection: wire.connection,
      unfollowDelay: 0,
      heartbeat: 60_000,
      checkInterval: 600_000,
    });
    const near = nearHub();
    const isPush = (subject: string): boolean => subject.startsWith("es-live.");
    let pushes = 0;
    wire.loses = (subject) => {
      if (isPush(subject)) pushes++;
      return false;
    };
    const stop = far.subscribe("large", () => undefined);
    await stop.ready;
    wire.holds = (_, subscription) => subscription.endsWith(".clock.x");
    const large = "x".repeat(1_000_000);
    for (let index = 1; index <= 34; index++) {
      await near.publish("large", { data: large });
      await expect.poll(() => pushes).toBe(index);
    }
    stop();
    await expect.poll(() => wire.open().filter(isPush)).toEqual([]);
    for (const take of wire.held.splice(0)) take();
    const seen: unknown[] = [];
    await far.subscribe("small", ({ data }) => seen.push(data)).ready;
    const before = wire.sent.length;
    await near.publish("small", { data: 1 });
    await expect.poll(() => pushes).toBe(35);
    wire.holds = () => false;
    for (const take of wire.held.splice(0)) take();
    await expect.poll(() => seen).toEqual([1]);
    // Nothing that was pushed had to be asked for.
    expect(wire.sent.slice(before).filter((sent) => /DIRECT\.GET.* \{"seq":/.test(sent))).toEqual([]);
  });
});

describe("a publishId", () => {
  it("is forgotten when its time is over by the hub's clock", async () => {
    const { nats } = await startWorld();
    const node = await openNode(natsLog({ servers: nats.url }));
    const append = (now: number) => node.append("t", ["x"], { publishId: "p", publishIdWindowMs: 1000, now });
    const first = await append(1000);
    expect(await append(1999)).toEqual(first);
    await node.connection.expire(2000);
    // Nobody asks for an earlier time than before: what is still known shows what is kept.
    expect(await append(1999)).not.toEqual(first);
    await node.connection.close();
  });

  it("stays forgotten when the clock tells of it late", async () => {
    const { nats } = await startWorld();
    const wire = await lossy(nats);
    const quiet = { heartbeat: 60_000, checkInterval: 600_000 };
    const node = await openNode(natsLog({ connection: wire.connection, ...quiet }));
    const append = (now: number) => node.append("t", ["x"], { publishId: "p", publishIdWindowMs: 1000, now });
    wire.holds = (subject, subscription) => subject.endsWith(".t.t") && subscription.endsWith(".clock.x");
    const first = await append(1000);
    await node.connection.expire(2000);
    await expect.poll(() => wire.held.length).toBe(1);
    for (const take of wire.held.splice(0)) take();
    expect(await append(1999)).not.toEqual(first);
    await node.connection.close();
  });
});

describe("messages that the server does not let go of", () => {
  it("are asked for once, and keep nothing else from being removed", async () => {
    const { nats } = await startWorld();
    const deletes = await tap(nats, "STREAM.MSG.DELETE.>");
    const timeout = 20_000;
    const node = await openNode(natsLog({ servers: nats.url, timeout, sweepInterval: 600_000 }));
    const admin = await connectNats({ servers: nats.url });
    onTestFinished(() => admin.close());
    const { config } = JSON.parse((await admin.request("$JS.API.STREAM.INFO.everstream")).string());
    await admin.request("$JS.API.STREAM.UPDATE.everstream", JSON.stringify({ ...config, deny_delete: true }));
    const retention = { ...KEEP_ALL, maxEvents: 1 };
    for (let index = 0; index < 130; index++) await node.append("t", ["x"], { retention });
    for (let index = 0; index < 10; index++) await node.append("u", ["x"], { retention });
    // By then nobody can want to know any more what became of a publish.
    letPass(2 * timeout);
    await expect.poll(() => deletes.length).toBe(138);
    await node.connection.close();
  });
});
