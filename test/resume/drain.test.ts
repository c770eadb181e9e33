// A server that is drained while others publish: all of its clients come back elsewhere, spread out, with nothing lost.
import { createHub, memoryLog } from "everstream";
import type { RawResponse } from "everstream/testing";
import { expect, it, onTestFinished } from "vitest";
import { drainSpread } from "../../src/session/drain-spread.ts";
import { cursorOf, dataOf, gapsOf, openSource, serveHub } from "../hub/rights-server.ts";

const CLIENTS = 500;
const EVENTS = 60;

it("500 clients go from one server to the next with exact resume, at times drawn evenly", async () => {
  const log = memoryLog();
  const hubs = [createHub({ log }), createHub({ log })] as const;
  const servers = await Promise.all(hubs.map((hub) => serveHub(hub, () => ({ topics: "t" }))));
  onTestFinished(async () => {
    for (const hub of hubs) await hub.close();
    for (const server of servers) await server.close();
  });
  const [first, second] = servers;
  if (first === undefined || second === undefined) throw new Error("two servers are needed");
  const clients = await Promise.all(Array.from({ length: CLIENTS }, () => openSource(first)));
  await Promise.all(clients.map((client) => client.until("sse:live")));
  const moving = clients.map((client) => moveOn(client));
  const draining = hubs[0].close({ within: 200 });
  for (let index = 0; index < EVENTS; index++) {
    await hubs[1].publish("t", { data: index });
    if (index % 3 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await draining;
  await hubs[1].publish("t", { data: "end" });
  const expected = [...Array.from({ length: EVENTS }, (_, index) => String(index)), '"end"'];
  const moved = await Promise.all(moving);
  for (const { data, gaps } of moved) expect([data, gaps]).toEqual([expected, []]);
  expectEven(
    moved.map(({ retry }) => retry),
    drainSpread(CLIENTS),
  );

  async function moveOn(client: RawResponse) {
    expect(await client.ended).toBe("complete");
    const again = await openSource(second as (typeof servers)[number], "/", cursorOf(client));
    await again.until('"end"');
    const retry = Number(/retry: (\d+)\n\n$/.exec(client.body)?.[1]);
    return {
      data: [...dataOf(client), ...dataOf(again)],
      gaps: [...gapsOf(client), ...gapsOf(again)],
      retry,
    };
  }
});

it("the more sessions, the longer the time over which they come back, up to a minute", () => {
  expect([1, 1000, 10_000, 60_000, 1e6].map(drainSpread)).toEqual([1000, 1000, 10_000, 60_000, 60_000]);
});

/** So many draws that a tenth of the range misses half of its share, or has twice as much, once in millions of runs. */
function expectEven(draws: readonly number[], range: number): void {
  const tenths = new Array<number>(10).fill(0);
  for (const draw of draws) {
    expect(draw).toBeGreaterThanOrEqual(0);
    expect(draw).toBeLessThanOrEqual(range);
    const tenth = Math.min(Math.floor((draw / range) * 10), 9);
    tenths[tenth] = (tenths[tenth] as number) + 1;
  }
  const share = draws.length / 10;
  expect(Math.min(...tenths)).toBeGreaterThan(share * 0.3);
  expect(Math.max(...tenths)).toBeLessThan(share * 2);
}
