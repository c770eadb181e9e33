// Three nodes on one NATS, clients that are cut off at any byte and come back to any node, publishers on all of them, and
// everything that befalls servers and networks meanwhile: each client gets exactly what it missed.
import { natsLog } from "everstream/nats";
import { expect, it } from "vitest";
import { randomFrom, scale, seed } from "../resume/seed.ts";
import { TOPICS, topicsOf } from "../resume/topics.ts";
import { World } from "../resume/world.ts";
import { type NatsWorld, startWorld } from "./world.ts";

const CLIENTS = 60;
const EVENTS = 1500;
const TIMEOUT_MS = 240_000 * scale;

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** What happens to the server, or to the network of the nodes that are behind the proxy. */
const FAULTS: readonly ((world: NatsWorld, ms: number) => Promise<void>)[] = [
  async ({ nats }) => {
    await nats.kill();
    await nats.start();
  },
  async ({ nats }, ms) => {
    nats.pause();
    await pause(ms);
    nats.resume();
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

it(
  `60 clients on three nodes get every event once and in order, whatever befalls NATS (seed ${seed})`,
  async () => {
    const random = randomFrom(seed);
    const broker = await startWorld();
    const options = { checkInterval: 100, heartbeat: 100, timeout: 3000 };
    const far = () => natsLog({ servers: `127.0.0.1:${broker.proxy.port}`, ...options });
    const near = natsLog({ servers: broker.nats.url, ...options });
    const world = new World(TOPICS, {
      log: far(),
      others: [far(), near],
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
      const order = [...FAULTS, ...FAULTS].sort(() => random() - 0.5);
      for (const fault of order) {
        if (isOver) return;
        await pause(20 + random() * 200);
        await fault(broker, 50 + random() * 300);
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
  TIMEOUT_MS,
);
