// What befalls a broker and the network before it: nothing accepted is lost, nothing is there twice, and who has to wait is
// told within a bounded time. What differs by broker, how its data gets lost, each broker's own suite adds.
import type { Hub, HubOptions } from "everstream";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { connect, numbered, numbers, type TestClient } from "../hub/client.ts";
import type { BrokerChild } from "./child.ts";
import type { TcpProxy } from "./tcp-proxy.ts";

/** What the logs of all brokers have as options. */
interface LogOptions {
  readonly timeout?: number;
  readonly offline?: "wait" | "fail";
  readonly maxPending?: number;
  readonly checkInterval?: number;
}

/** A broker with a proxy in front of it, and hubs that reach it. */
export interface BrokerWorld {
  readonly broker: Pick<BrokerChild, "kill" | "pause" | "resume" | "output"> & {
    readonly port: number;
    start(): Promise<void>;
  };
  readonly proxy: TcpProxy;
  /** A hub that goes through the proxy. */
  hub(options?: LogOptions, hubOptions?: Partial<HubOptions>): Hub;
  /** A hub that does not. */
  nearHub(options?: LogOptions): Hub;
}

/** Publishes numbers from 0 on until it is stopped, eight at a time, and again what fails. Resolves to how many. */
function publishOn(hub: Hub, topic: string): { stop(): Promise<number>; readonly count: number } {
  let next = 0;
  let stopped = false;
  const one = async (): Promise<void> => {
    while (!stopped) {
      const data = next++;
      for (;;) {
        try {
          await hub.publish(topic, { data }, { publishId: `p${data}` });
          break;
        } catch (error) {
          expect(error).toMatchObject({ code: "LOG_FAILED" });
        }
      }
    }
  };
  const all = Promise.all(Array.from({ length: 8 }, one));
  return {
    async stop() {
      stopped = true;
      await all;
      return next;
    },
    get count() {
      return next;
    },
  };
}

/** Publishes with a log that has little time, which on a slow machine may not be enough for the first try. */
async function publishSurely(hub: Hub, data: number): Promise<void> {
  const publish = (): Promise<string> => hub.publish("t", { data }, { publishId: `p${data}` });
  await expect.poll(() => publish().catch(() => ""), { timeout: 20_000 }).not.toBe("");
}

/** What a client got, in numbers' order: publishers run side by side. */
function sorted({ data }: TestClient): string[] {
  return [...data].sort((a, b) => Number(a) - Number(b));
}

/** `name` is the server program's. `start` begins a world for one test, and ends it with the test. */
export function describeFaults(name: string, start: () => Promise<BrokerWorld>): void {
  describe(`a ${name} that is killed and started again`, () => {
    it("has everything that was accepted, and clients and publishers go on as if nothing had been", async () => {
      const { broker, hub, nearHub } = await start();
      const [writer, reader] = [hub(), nearHub()];
      const clients = [await connect(writer, { topics: "t" }), await connect(reader, { topics: "t" })];
      const publishing = publishOn(writer, "t");
      for (let round = 1; round <= 3; round++) {
        await expect.poll(() => publishing.count).toBeGreaterThan(round * 300);
        await broker.kill();
        await broker.start();
      }
      const count = await publishing.stop();
      for (const client of clients) {
        await client.until(({ data }) => data.length >= count);
        expect(client.gaps).toEqual([]);
        expect(sorted(client)).toEqual(numbers(count));
      }
      expect(clients[0]?.events).toEqual(clients[1]?.events);
      // An id from before is as good as ever.
      const again = await connect(reader, { topics: "t", lastEventId: clients[0]?.events[10]?.lastEventId });
      await again.until(({ data }) => data.length === count - 11);
      expect(again.gaps).toEqual([]);
    });

    it("may be there only after its hubs: what they publish meanwhile waits, unless that is to fail", async () => {
      const { broker, proxy, hub } = await start();
      await broker.kill();
      await expect(hub({ offline: "fail", timeout: 1000 }).publish("t", { data: 0 })).rejects.toMatchObject({
        code: "LOG_FAILED",
      });
      const node = hub({ timeout: 30_000 });
      const waiting = node.publish("t", { data: 1 });
      const before = proxy.opened;
      await expect.poll(() => proxy.opened).toBeGreaterThan(before + 1);
      await broker.start();
      await waiting;
      expect((await node.read("t")).events.map(({ data }) => data)).toEqual([1]);
    });

    it("takes what was waiting for it, within the time that was given", async () => {
      const { broker, hub } = await start();
      const node = hub();
      const first = await node.publish("t", { data: 0 });
      await broker.kill();
      const waiting = numbered(50, 1).map((event) => node.publish("t", event));
      const conditional = node.publish("u", { data: 1 }, { expectLast: null });
      await broker.start();
      expect(new Set(await Promise.all(waiting)).size).toBe(50);
      await conditional;
      const { events } = await node.read("t", { after: first });
      expect(events.map(({ data }) => data)).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
    });

    it("is missed for longer than that: publishing fails, with a code, and nothing of it is stored later", async () => {
      const { broker, hub, nearHub } = await start();
      const node = hub({ timeout: 1500 });
      await publishSurely(node, 0);
      await broker.kill();
      await expect(node.publish("t", { data: 1 })).rejects.toMatchObject({ code: "LOG_FAILED" });
      await expect(node.read("t")).rejects.toMatchObject({ code: "LOG_FAILED" });
      await broker.start();
      await expect
        .poll(() => node.publish("t", { data: 2 }).catch(() => ""), { timeout: 20_000 })
        .not.toBe("");
      const { events } = await nearHub().read("t");
      expect(events.map(({ data }) => data)).toEqual(expect.arrayContaining([0, 2]));
      expect(events.map(({ data }) => data)).not.toContain(1);
    });

    it("fails publishes at once where that is asked for, and those that are too many for the queue", async () => {
      const { broker, hub } = await start();
      const [quick, small] = [hub({ offline: "fail" }), hub({ maxPending: 3 })];
      await quick.publish("t", { data: 0 });
      await small.publish("t", { data: 0 });
      await broker.kill();
      await expect
        .poll(() => quick.publish("t", { data: 1 }).catch(({ message }) => message))
        .toContain("nothing was stored");
      const results = numbered(5).map((event) => small.publish("t", event));
      const refused = await Promise.allSettled(results.slice(3));
      expect(refused.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
      await broker.start();
      await Promise.all(results.slice(0, 3));
    });
  });

  it(`whatever clocks are set to while a ${name} is away: that is neither more time nor less`, async () => {
    const { broker, hub } = await start();
    const node = hub();
    const client = await connect(node, { topics: "t" });
    await node.publish("t", { data: 0 });
    const read = Date.now.bind(Date);
    let stepMs = 0;
    const clock = vi.spyOn(Date, "now").mockImplementation(() => read() + stepMs);
    onTestFinished(() => clock.mockRestore());
    for (const hours of [2, -3]) {
      await broker.kill();
      const waiting = node.publish("t", { data: hours });
      stepMs = hours * 3_600_000;
      await broker.start();
      await waiting;
      await client.until(({ data }) => data.includes(String(hours)));
    }
    await broker.kill();
    const pending = node.publish("t", { data: 1 }).catch(({ code }) => code);
    stepMs -= 3_600_000;
    await node.close();
    expect(await pending).toMatch(/^(LOG|HUB)_CLOSED$/);
    expect(client.gaps).toEqual([]);
  });

  describe(`a ${name} that stands still`, () => {
    it("holds publishers up to their time, and sessions stay; when it goes on nothing is there twice", async () => {
      const { broker, hub } = await start();
      const [node, hurried] = [hub(), hub({ timeout: 1500 })];
      await publishSurely(hurried, 0);
      const client = await connect(node, { topics: "t", from: "start" });
      await client.until(({ data }) => data.length === 1);
      broker.pause();
      const lost = hurried.publish("t", { data: 1 }, { publishId: "one" });
      await expect(lost).rejects.toMatchObject({
        code: "LOG_FAILED",
        message: expect.stringContaining("publishId"),
      });
      expect(client.session.closed).toBe(false);
      broker.resume();
      await expect
        .poll(() => hurried.publish("t", { data: 1 }, { publishId: "one" }).catch(() => ""), {
          timeout: 20_000,
        })
        .not.toBe("");
      await node.publish("t", { data: 2 });
      await client.until(({ data }) => data.includes("2"));
      expect(client.data).toEqual(["0", "1", "2"]);
      expect(client.gaps).toEqual([]);
    });
  });

  describe("a network that", () => {
    it("loses replies: what was stored is stored once, and its publisher is told so", async () => {
      const { proxy, broker, hub, nearHub } = await start();
      const [node, near] = [hub(), nearHub()];
      const client = await connect(near, { topics: "t" });
      await node.publish("t", { data: 0 });
      for (let round = 1; round <= 5; round++) {
        proxy.stallReplies();
        const publishing = node.publish("t", { data: round });
        // It is stored, and only the answer is under way.
        await client.until(({ data }) => data.includes(String(round)));
        proxy.cut();
        proxy.mend();
        await publishing;
      }
      await node.publish("t", { data: "end" });
      await client.until(({ data }) => data.includes('"end"'));
      expect(client.data).toEqual(["0", "1", "2", "3", "4", "5", '"end"']);
      expect(broker.output()).not.toContain("crash");
    });

    it("loses the reply before the server is killed: after its restart it is still stored once", async () => {
      const { proxy, broker, hub, nearHub } = await start();
      const [node, near] = [hub(), nearHub()];
      const client = await connect(near, { topics: "t" });
      await node.publish("t", { data: 0 });
      proxy.stallReplies();
      const publishing = node.publish("t", { data: 1 });
      await client.until(({ data }) => data.includes("1"));
      await broker.kill();
      proxy.cut();
      proxy.mend();
      await broker.start();
      const id = await publishing;
      await node.publish("t", { data: 2 });
      await client.until(({ data }) => data.includes("2"));
      expect(client.data).toEqual(["0", "1", "2"]);
      expect((await node.read("t")).events.map(({ id }) => id)).toContain(id);
    });

    it("cuts, stalls and delays, costs nothing but time", async () => {
      const { proxy, hub, nearHub } = await start();
      const [far, near] = [hub({ timeout: 2000 }), nearHub()];
      const clients = [
        await connect(far, { topics: ["t", "u"] }),
        await connect(near, { topics: ["t", "u"] }),
      ];
      const publishing = [publishOn(far, "t"), publishOn(near, "u")] as const;
      const reached = (): Promise<void> => {
        const marks = publishing.map(({ count }) => count + 60);
        return expect
          .poll(() => publishing.every(({ count }, index) => count > (marks[index] as number)), {
            timeout: 30_000,
          })
          .toBe(true);
      };
      await reached();
      proxy.cut();
      await reached();
      proxy.delayMs = 30;
      await reached();
      proxy.delayMs = 0;
      proxy.stall();
      const before = publishing[1].count;
      await expect.poll(() => publishing[1].count).toBeGreaterThan(before + 200);
      proxy.cut();
      proxy.mend();
      await reached();
      proxy.refuses = true;
      proxy.cut();
      await expect.poll(() => publishing[1].count).toBeGreaterThan(before + 600);
      proxy.refuses = false;
      await reached();
      const [t, u] = await Promise.all(publishing.map(({ stop }) => stop()));
      for (const client of clients) {
        await client.until(({ data }) => data.length >= (t as number) + (u as number));
        expect(client.gaps).toEqual([]);
        expect(sorted(client)).toEqual(
          [...numbers(t as number), ...numbers(u as number)].sort((a, b) => Number(a) - Number(b)),
        );
      }
      expect(clients[0]?.events).toEqual(clients[1]?.events);
    });
  });
}
