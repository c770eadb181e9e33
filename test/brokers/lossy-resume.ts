// Three nodes on a broker whose data gets lost, again and again, under them and behind the back of some; clients that are cut
// off at any byte and come back to any node; publishers on all of them. Whoever goes on from one event to another without
// having been told of a gap has missed nothing that there was between them.
import type { Epoch, EventLog } from "everstream";
import { expect, it, onTestFinished } from "vitest";
import { LossyAccount } from "../resume/lossy-account.ts";
import { randomFrom, scale, seed } from "../resume/seed.ts";
import { TOPICS, topicsOf } from "../resume/topics.ts";
import { World } from "../resume/world.ts";
import type { LossyWorld } from "./losses.ts";
import { type TcpProxy, tcpProxy } from "./tcp-proxy.ts";

const CLIENTS = 60;
/** So many events are accepted between one thing and the next. */
const BETWEEN = 15;
const TIMEOUT_MS = 360_000 * scale;

/** What a loss has at hand. */
export interface Losing {
  readonly world: LossyWorld;
  /** The ways of the nodes to the broker. */
  readonly ways: readonly [TcpProxy, TcpProxy];
  /** Notes what the broker at this port has, as far as it goes by epochs, before that is lost. */
  note(port?: number): Promise<void>;
  /** Resolves when some more was accepted. */
  progress(): Promise<void>;
}

export type Loss = (losing: Losing) => Promise<void>;

export interface LossyResumeOptions {
  readonly name: string;
  start(): Promise<LossyWorld>;
  /** A log on the broker behind this port. */
  log(port: number): EventLog;
  /** How this broker's data gets lost besides. */
  readonly more?: readonly Loss[];
}

/** What takes a copy of the data, or nothing, and loses the rest later. */
const PREPARATIONS: readonly ((world: LossyWorld) => Promise<() => Promise<void>>)[] = [
  async (world) => () => world.empty(),
  (world) => world.copy(),
];

/** Who is there when data is lost. */
const LOSSES: readonly Loss[] = PREPARATIONS.flatMap((prepare): Loss[] => [
  // Everybody.
  async ({ world, note, progress }) => {
    const lose = await prepare(world);
    await progress();
    await note();
    await lose();
  },
  // A part, and others come when the new epoch has gone on for a while.
  async ({ world, ways, note, progress }) => {
    const lose = await prepare(world);
    await progress();
    ways[0].refuses = true;
    ways[0].cut();
    await note();
    await lose();
    await progress();
    ways[0].refuses = false;
  },
  // Nobody, and the first one afterwards is somebody new.
  async ({ world, ways, note, progress }) => {
    const lose = await prepare(world);
    await progress();
    for (const way of ways) {
      way.refuses = true;
      way.cut();
    }
    await note();
    await lose();
    await note();
    for (const way of ways) way.refuses = false;
  },
]);

const FAULTS: readonly Loss[] = [
  async ({ ways: [way] }) => way.cut(),
  async ({ world: { broker } }) => {
    await broker.kill();
    await broker.start();
  },
];

export function describeLossyResume({ name, start, log, more = [] }: LossyResumeOptions): void {
  it(
    `60 clients on three nodes get every event once and in order, or are told of a gap, however ${name} loses data (seed ${seed})`,
    async () => {
      const random = randomFrom(seed);
      const net = await start();
      const other = await tcpProxy(net.broker.port);
      onTestFinished(() => other.close());
      const account = new LossyAccount();
      const reopen = async (): Promise<EventLog> => log(net.proxy.port);
      const world = new World(TOPICS, {
        log: await reopen(),
        others: [log(other.port), log(other.port)],
        reopen,
        isFaulty: true,
        grantsOf: topicsOf,
        account,
        random,
      });
      await world.listen();
      const losing: Losing = {
        world: net,
        ways: [net.proxy, other],
        note: async (port = net.broker.port) => account.note(await epochsOf(log(port))),
        async progress() {
          const wanted = account.size + BETWEEN;
          await expect.poll(() => account.size, { timeout: 60_000 }).toBeGreaterThan(wanted);
        },
      };
      const cutAfter = () => (random() < 0.15 ? random() * 500 : 500 + random() * 20_000);
      const reading = Array.from({ length: CLIENTS }, (_, client) => world.readRaw(client, cutAfter));
      let isOver = false;
      const publishing = world.publishWhile(() => !isOver);
      const order = Array.from({ length: scale }, () => [...LOSSES, ...more, ...FAULTS]).flat();
      for (const happen of order.sort(() => random() - 0.5)) {
        await losing.progress();
        await happen(losing);
        if (random() < 0.5) await world.restart();
      }
      await losing.progress();
      isOver = true;
      await publishing;
      const clients = await Promise.all(reading);
      await losing.note();
      account.see(clients.flat());
      const faults = clients.flatMap((parts, client) =>
        parts.flatMap((part) => account.faultsOf(part).map((fault) => `client ${client}: ${fault}`)),
      );
      expect([account.faults, faults.slice(0, 20)]).toEqual([[], []]);
      // There was something to tell, and to all of them.
      for (const parts of clients) expect(parts.some(({ gaps }) => gaps.length > 0)).toBe(true);
    },
    TIMEOUT_MS,
  );
}

/** The epochs of a log, asked for by somebody new. */
async function epochsOf(log: EventLog): Promise<readonly Epoch[]> {
  for (let tries = 0; ; tries++) {
    try {
      const connection = await log.open({ onEntries: () => undefined, onEpoch: () => undefined });
      await connection.close();
      return connection.epochs;
    } catch (error) {
      if (tries === 10) throw error;
    }
  }
}
