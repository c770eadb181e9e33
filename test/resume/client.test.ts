// Our client behind a network that breaks connections at any byte, while publishers run.
import { memoryLog } from "everstream";
import { openEventStream } from "everstream/client";
import { expect, it } from "vitest";
import type { Received } from "./account.ts";
import { startChaosProxy } from "./chaos-proxy.ts";
import { randomFrom, scale, seed } from "./seed.ts";
import { TOPICS, topicsOf } from "./topics.ts";
import { World } from "./world.ts";

const CLIENTS = 200;

it(
  `openEventStream gets every event once and in order (seed ${seed})`,
  async () => {
    const random = randomFrom(seed);
    const world = new World(TOPICS, { log: memoryLog(), grantsOf: topicsOf, random });
    await world.listen();
    const port = await startChaosProxy(world.port, () => Math.ceil(300 + random() * 6000));
    const reading = Array.from({ length: CLIENTS * scale }, (_, client) =>
      readAll(`http://127.0.0.1:${port}/${client}`, world.receiver(client)),
    );
    const publishing = world.publish(300 * scale);
    const all = await Promise.all(reading);
    await publishing;
    const faults = all.flatMap((received) => world.account.faultsOf(received));
    expect([faults, all.flatMap(({ gaps }) => gaps)]).toEqual([[], []]);
    expect(world.connections).toBeGreaterThan(CLIENTS * 2);
  },
  120_000 * scale,
);

async function readAll(url: string, received: Received): Promise<Received> {
  const stream = openEventStream(url, { minDelay: 1, maxDelay: 20 });
  stream.onGap((gap) => received.gaps.push(gap));
  for await (const { type, data, lastEventId } of stream) {
    received.take({ event: type, data, lastEventId });
    if (data === '"end"') break;
  }
  return received;
}
