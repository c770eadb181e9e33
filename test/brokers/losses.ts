// A broker whose data is lost, all of it or back to an older copy: nobody who had seen more than what is left goes on as if
// nothing had happened, and no position means two things. Whoever is there first afterwards, nodes that stayed or new ones.
import { describe, expect, it } from "vitest";
import { connect, numbered, numbers } from "../hub/client.ts";
import type { BrokerWorld } from "./faults.ts";

export interface LossyWorld extends BrokerWorld {
  /** Takes all data from the broker, which goes on. */
  empty(): Promise<void>;
  /** Copies the broker's data. Resolves to what starts it anew with the copy. */
  copy(): Promise<() => Promise<void>>;
}

const KEPT = 5;

/** Has something published, in part after what a loss will leave. Answers with what loses the rest, and how much is left. */
const WAYS: readonly (readonly [
  how: string,
  prepare: (world: LossyWorld) => Promise<() => Promise<void>>,
  kept: number,
])[] = [
  ["emptied", async (world) => () => world.empty(), 0],
  ["restored from an older copy", (world) => world.copy(), KEPT],
];

export function describeLosses(name: string, start: () => Promise<LossyWorld>): void {
  describe.each(WAYS)(`a ${name} that was %s`, (_, prepare, kept) => {
    it("under a node: clients who had seen more are told, and get only what is new", async () => {
      const world = await start();
      const [node, near] = [world.hub(), world.nearHub()];
      const client = await connect(near, { topics: "t", from: "start" });
      const ids = await node.publish("t", numbered(KEPT));
      const lose = await prepare(world);
      ids.push(...(await node.publish("t", numbered(3, KEPT))));
      await client.until(({ data }) => data.length === ids.length);
      await lose();
      const conditional = node.publish("t", { data: "x" }, { expectLast: ids.at(-1) as string });
      await expect(conditional).rejects.toMatchObject({ code: "CONFLICT" });
      await client.until(({ gaps }) => gaps.length > 0);
      const id = await node.publish("t", { data: "new" });
      await client.until(({ data }) => data.includes('"new"'));
      expect(client.gaps).toMatchObject([{ reason: "epoch", after: ids.at(-1) }]);
      expect(client.data).toEqual([...numbers(ids.length), '"new"']);
      for (const [index, lastEventId] of ids.entries()) {
        const again = await connect(node, { topics: "t", from: "start", lastEventId });
        await again.until(({ data }) => data.includes('"new"'));
        const isKept = index < kept;
        expect(again.gaps).toMatchObject(isKept ? [] : [{ reason: "epoch", after: lastEventId }]);
        const from = isKept ? index + 1 : 0;
        expect(again.data).toEqual([...numbers(kept - from, from), '"new"']);
        expect(again.lastEventId).toBe(id);
      }
    });

    it("while no node was there, again and again: nobody's cursor is taken for another's, no id is used twice", async () => {
      const world = await start();
      const first = world.hub();
      await first.publish("t", numbered(KEPT));
      const lose = await prepare(world);
      await first.close();
      const old: string[] = [];
      for (let round = 0; round < 3; round++) {
        if (round > 0) await lose();
        const node = world.hub();
        const ids = await node.publish("t", numbered(10, 100 * (round + 1)));
        expect(old.filter((id) => ids.includes(id))).toEqual([]);
        for (const lastEventId of old) {
          const back = await connect(node, { topics: "t", from: "start", lastEventId });
          await back.until(({ lastEventId }) => lastEventId === ids.at(-1));
          expect(back.gaps).toMatchObject([{ reason: "epoch", after: lastEventId }]);
          expect(back.data).toEqual([...numbers(kept), ...numbers(10, 100 * (round + 1))]);
        }
        old.push(...ids);
        await node.close();
      }
    });

    it("behind the back of a node that stayed up, and used by a fresh one first: what the node's clients lack they are told", async () => {
      const world = await start();
      const { proxy, hub, nearHub } = world;
      const node = hub();
      const ids = await node.publish("t", numbered(KEPT));
      const lose = await prepare(world);
      ids.push(...(await node.publish("t", numbered(3, KEPT))));
      const client = await connect(node, { topics: "t", from: "start" });
      await client.until(({ data }) => data.length === ids.length);
      proxy.refuses = true;
      proxy.cut();
      await lose();
      const fresh = nearHub();
      const next = await fresh.publish("t", numbered(5, 100));
      const stale = node.publish("t", { data: "stale" }, { expectLast: ids.at(-1) as string });
      const late = node.publish("u", { data: "late" });
      proxy.refuses = false;
      await expect(stale).rejects.toMatchObject({ code: "CONFLICT" });
      await client.until(({ gaps }) => gaps.length > 0);
      next.push(...(await fresh.publish("t", numbered(5, 105))));
      await client.until(({ lastEventId }) => lastEventId === next.at(-1));
      expect(client.gaps).toMatchObject([{ reason: "epoch", after: ids.at(-1) }]);
      expect(client.data).toEqual([...numbers(ids.length), ...numbers(5, 105)]);
      expect(epochOf(await late)).toBe(epochOf(next[0]));
      expect([...ids, ...next].filter((id, at, all) => all.indexOf(id) !== at)).toEqual([]);
      for (const each of [node, fresh]) {
        const back = await connect(each, { topics: "t", from: "start", lastEventId: ids.at(-1) });
        await back.until(({ lastEventId }) => lastEventId === next.at(-1));
        expect(back.gaps).toMatchObject([{ reason: "epoch", after: ids.at(-1) }]);
        expect(back.data).toEqual([...numbers(kept), ...numbers(10, 100)]);
      }
    });
  });
}

function epochOf(id: string | undefined): string | undefined {
  return id?.split("-")[0];
}
