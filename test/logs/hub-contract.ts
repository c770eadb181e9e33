// What a hub makes of a log's promises: the parts of the contract that only show with readers on it.
import { createHub, type EventLog, type Hub } from "everstream";
import { formatPosition, parsePosition } from "everstream/protocol";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connect, numbered, numbers } from "../hub/client.ts";
import { remoteLog, withFeedHeld } from "../hub/remote-log.ts";
import type { LogFixture } from "./contract.ts";

export function describeHubOver(name: string, create: () => Promise<LogFixture>): void {
  describe(`a hub over ${name}`, () => {
    let fixture: LogFixture;
    let hub: Hub;
    beforeEach(async () => {
      fixture = await create();
      hub = createHub({ log: fixture.log });
    });
    afterEach(async () => {
      await hub.close();
      await fixture.dispose();
    });

    it("misses nothing that is published during any await of a replay", async () => {
      const [first] = await hub.publish("t", numbered(300));
      let published = 300;
      const publishOne = async () => {
        if (published < 400) await hub.publish("t", { data: published++ });
      };
      const far = createHub({ log: remoteLog(fixture.log, { onCall: publishOne }) });
      const client = await connect(far, { topics: ["t", "other"], lastEventId: first });
      while (published < 400) await publishOne();
      await client.until(({ data }) => data.length >= 399);
      expect(client.data).toEqual(numbers(399, 1));
      expect(client.gaps).toEqual([]);
      await far.close();
    });

    it("gives two hubs' readers one order", async () => {
      const other = createHub({ log: fixture.log });
      const clients = [
        await connect(hub, { topics: ["a", "b"] }),
        await connect(other, { topics: ["a", "b"] }),
      ];
      const work = numbers(100).map((_, index) =>
        (index % 3 ? hub : other).publish(index % 2 ? "a" : "b", { data: index }),
      );
      await Promise.all(work);
      for (const client of clients) await client.until(({ data }) => data.length >= 100);
      expect(clients[0]?.events).toEqual(clients[1]?.events);
      await other.close();
    });

    it("ends readers by a finish without an event, also where a page tells of it before the feed does", async () => {
      const { log, hold, release } = withFeedHeld(fixture.log);
      const far = createHub({ log });
      await far.publish("t", { data: 0 });
      const live = await connect(far, { topics: "t" });
      let isOver = false;
      await far.subscribe("t", () => undefined).ready;
      const loop = far.events("t");
      const looping = loop.next().then(({ done }) => {
        isOver = done === true;
      });
      hold();
      const end = await far.finish("t");
      const late = await connect(far, { topics: "t", from: "start" });
      await late.until(({ data, session }) => data.length === 1 || session.closed);
      release();
      for (const client of [live, late]) {
        await client.until(({ session }) => session.closed);
        expect(client.events.at(-1)).toEqual({ event: "sse:end", data: "{}", lastEventId: end });
      }
      await looping;
      expect(isOver).toBe(true);
      expect(far.stats()).toMatchObject({ sessions: 0, subscriptions: 0, topics: 0 });
      await far.close();
    });

    it("says of a cursor over the head, of a foreign one and of a forged one that it means nothing", async () => {
      const id = await hub.publish("t", { data: 1 });
      const { epoch, sequence } = parsePosition(id) as { epoch: number; sequence: number };
      const cursors = [
        formatPosition(epoch, sequence + 1_000_000),
        formatPosition(epoch + 1, 1),
        "17",
        "x\ny",
      ];
      const reasons: unknown[] = [];
      for (const lastEventId of cursors) {
        const client = await connect(hub, { topics: "t", lastEventId });
        const [gap] = client.gaps;
        expect(gap).toMatchObject({ after: lastEventId, next: id });
        expect(client.checkpoints).toEqual([id]);
        reasons.push(gap?.reason);
      }
      expect(reasons).toEqual(["invalid", "epoch", "invalid", "invalid"]);
    });

    it("after a restart a client gets everything it missed, or is told that it can't", async () => {
      const ids = await hub.publish("t", numbered(10));
      await hub.close();
      hub = createHub({ log: await fixture.restart() });
      await hub.publish("t", numbered(5, 10));
      const client = await connect(hub, { topics: "t", from: "start", lastEventId: ids[3] });
      await client.until(({ data }) => data.at(-1) === "14");
      if (client.gaps.length === 0) expect(client.data).toEqual(numbers(11, 4));
      else expect(client.gaps).toEqual([expect.objectContaining({ reason: "epoch", after: ids[3] })]);
    });
  });
}

export function remote(create: () => Promise<LogFixture>): () => Promise<LogFixture> {
  const far = (log: EventLog): EventLog => remoteLog(log);
  return async () => {
    const near = await create();
    return {
      log: far(near.log),
      restart: async () => far(await near.restart()),
      dispose: () => near.dispose(),
    };
  };
}
