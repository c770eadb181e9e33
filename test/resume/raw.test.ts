// Clients of bare sockets that are cut off at any byte, while publishers run: each gets exactly what it missed, or is told.
import { memoryLog } from "everstream";
import { expect, it, onTestFinished } from "vitest";
import { lmdbFixture } from "../logs/lmdb-folder.ts";
import type { Grant } from "./account.ts";
import { randomFrom, scale, seed } from "./seed.ts";
import { TOPICS, topicsOf } from "./topics.ts";
import { World, type WorldOptions } from "./world.ts";

const TIMEOUT_MS = 120_000 * scale;

interface Chaos extends Partial<WorldOptions> {
  readonly clients: number;
  readonly events: number;
  readonly restarts?: number;
}

/** Runs publishers and clients to their end. Returns what was wrong, and the world that they had. */
async function chaos({ clients, events, restarts = 0, ...options }: Chaos) {
  const random = options.random ?? randomFrom(seed);
  const log = options.log ?? memoryLog();
  const world = new World(TOPICS, { grantsOf: topicsOf, ...options, log, random });
  await world.listen();
  // Some are cut in the head or the first block, most further on.
  const cutAfter = () => (random() < 0.15 ? random() * 500 : 500 + random() * 6000);
  const reading = Array.from({ length: clients * scale }, (_, client) => world.readRaw(client, cutAfter));
  const publishing = world.publish(events * scale, restarts);
  const [parts] = await Promise.all([Promise.all(reading), publishing]);
  const faults = parts.flatMap((each, client) =>
    each.flatMap((part) => world.account.faultsOf(part).map((fault) => `client ${client}: ${fault}`)),
  );
  return { world, faults, gaps: parts.flat().flatMap((part) => part.gaps), parts: parts.flat() };
}

async function lmdb() {
  const { log, restart, dispose } = await lmdbFixture();
  onTestFinished(dispose);
  return { log, reopen: restart };
}

it(
  `2,000 clients get every event once and in order, in memory (seed ${seed})`,
  async () => {
    const { faults, gaps, world } = await chaos({ clients: 2000, events: 300 });
    expect([faults, gaps]).toEqual([[], []]);
    expect(world.connections).toBeGreaterThan(6000);
  },
  TIMEOUT_MS,
);

it(
  `and on disk (seed ${seed})`,
  async () => {
    const { faults, gaps } = await chaos({ clients: 500, events: 300, ...(await lmdb()) });
    expect([faults, gaps]).toEqual([[], []]);
  },
  TIMEOUT_MS,
);

it(
  `also where the server is closed and opened again on its log (seed ${seed})`,
  async () => {
    const { faults, gaps, parts } = await chaos({
      clients: 200,
      events: 400,
      restarts: 4,
      ...(await lmdb()),
    });
    expect([faults, gaps]).toEqual([[], []]);
    const epochs = new Set(parts.flatMap(({ events }) => events.map(({ id }) => id.split("-")[0])));
    expect(epochs.size).toBe(5);
  },
  TIMEOUT_MS,
);

it.each(["memory", "disk"])(
  `where little is kept on %s, a gap covers exactly what is missing (seed ${seed})`,
  async (where) => {
    const retention = { maxEvents: 5 };
    const log = where === "disk" ? await lmdb() : {};
    const { faults, gaps } = await chaos({ clients: 300, events: 1500, retention, ...log });
    expect(faults).toEqual([]);
    expect(gaps.length).toBeGreaterThan(0);
  },
  TIMEOUT_MS,
);

it(
  `rights that change while clients drop hold at every opening, and nothing else is lost (seed ${seed})`,
  async () => {
    const random = randomFrom(seed);
    const rights = new Map<number, Grant[]>();
    /** At each opening something may be granted, from then on or from a while ago, and something taken away. */
    const grantsOf = (client: number, past: readonly string[]): Grant[] => {
      const now = (rights.get(client) ?? topicsOf(client)).filter(() => random() > 0.2);
      const topic = TOPICS[Math.floor(random() * TOPICS.length)] as string;
      const notBefore = past[Math.floor(random() * past.length)];
      if (!now.some((grant) => grant.topic === topic)) now.push({ topic, ...(notBefore && { notBefore }) });
      rights.set(client, now);
      return now;
    };
    const { faults, parts } = await chaos({ clients: 300, events: 500, random, grantsOf });
    expect(faults).toEqual([]);
    expect(parts.length).toBeGreaterThan(600);
  },
  TIMEOUT_MS,
);
