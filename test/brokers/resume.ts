// Three nodes on one broker, clients that are cut off at any byte and come back to any node, publishers on all of them, and
// everything that befalls servers and networks meanwhile: each client gets exactly what it missed.
import type { EventLog } from "everstream";
import { expect, it } from "vitest";
import { randomFrom, scale, seed } from "../resume/seed.ts";
import { TOPICS, topicsOf } from "../resume/topics.ts";
import { World } from "../resume/world.ts";
import type { BrokerWorld } from "./faults.ts";

const CLIENTS = 60;
const EVENTS = 1500;
const TIMEOUT_MS = 240_000 * scale;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

type Fault = (world: BrokerWorld, ms: number) => Promise<void>;

/** What happens to the server, or to the network of the nodes that are behind the proxy. */
const FAULTS: readonly Fault[] = [
  async ({ broker }) => {
    await broker.kill();
    await broker.start();
  },
  async ({ broker }, ms) => {
    broker.pause();
    await pause(ms);
    broker.resume();
  },
  async ({ proxy }) => proxy.cut(),
  async ({ proxy }, ms) => {
    proxy.stall();
    await pause(ms);
    proxy.mend();
  },
  async ({ proxy }, ms) => {
    proxy.stallReplies();
    await pause(ms);
    proxy.cut();
    proxy.mend();
  },
  async ({ proxy }, ms) => {
    proxy.delayMs = 10;
    await pause(ms);
    proxy.delayMs = 0;
  },
];

export interface ResumeOptions {
  readonly name: string;
  /** Begins a world for one test, and ends it with the test. */
  start(): Promise<BrokerWorld>;
  /** A log on the broker behind this port. */
  log(port: number): EventLog;
  /** What befalls this broker besides. */
  readonly more?: readonly Fault[];
  /** How many events are accepted between one thing and the next. Default: none need be. */
  readonly between?: number;
  readonly timeoutMs?: number;
}

export function describeResume({
  name,
  start,
  log,
  more = [],
  between = 0,
  timeoutMs = TIMEOUT_MS,
}: ResumeOptions): void {
  it(
    `60 clients on three nodes get every event once and in order, whatever befalls ${name} (seed ${seed})`,
    async () => {
      const random = randomFrom(seed);
      const all = [...FAULTS, ...more];
      const net = await start();
      const world = new World(TOPICS, {
        log: log(net.proxy.port),
        others: [log(net.proxy.port), log(net.broker.port)],
        isFaulty: true,
        grantsOf: topicsOf,
        random,
      });
      await world.listen();
      const cutAfter = () => (random() < 0.15 ? random() * 500 : 500 + random() * 20_000);
      const reading = Array.from({ length: CLIENTS * scale }, (_, client) => world.readRaw(client, cutAfter));
      let isOver = false;
      const harming = (async () => {
        // Each fault at least once, in an order by chance.
        const order = [...all, ...all].sort(() => random() - 0.5);
        for (const fault of order) {
          const wanted = world.account.size + between;
          while (world.account.size < wanted && !isOver) await pause(5);
          if (isOver) return;
          await pause(20 + random() * 200);
          await fault(net, 50 + random() * 300);
        }
      })();
      await world.publish(EVENTS * scale);
      isOver = true;
      await harming;
      const parts = await Promise.all(reading);
      const faults = parts.flatMap((each, client) =>
        each.flatMap((part) => world.account.faultsOf(part).map((fault) => `client ${client}: ${fault}`)),
      );
      expect([faults, parts.flat().flatMap(({ gaps }) => gaps)]).toEqual([[], []]);
      expect(world.account.size).toBe(EVENTS * scale + 1);
    },
    timeoutMs,
  );
}
