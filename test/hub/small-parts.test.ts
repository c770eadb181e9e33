// What the hub decides with, by itself: moments that no test over a hub comes to at will.
import { createHub, memoryLog } from "everstream";
import { describe, expect, it } from "vitest";
import { Ends } from "../../src/hub/ends.ts";
import { Epochs } from "../../src/hub/epochs.ts";
import { drainSpread } from "../../src/session/drain-spread.ts";
import { lastEventIdOf } from "../../src/session/last-event-id.ts";
import { connect } from "./client.ts";
import { HandLog } from "./hand-log.ts";

describe("ends", () => {
  it("take no finish from the log that is older than what the feed told of the topic's being erased", () => {
    const ends = new Ends(["t"]);
    ends.erase("t", 10);
    expect([ends.finish("t", 9), ends.finishedAt]).toEqual([false, 0]);
    expect([ends.finish("t", 11), ends.finishedAt]).toEqual([true, 11]);
    expect([ends.finish("t", 11), ends.finishedAt]).toEqual([false, 11]);
  });
});

describe("epochs", () => {
  const first = { epoch: 7, first: 1 };

  it("of another lineage keep what both have of the last one that they share", () => {
    const before = new Epochs([first, { epoch: 8, first: 11 }]);
    const longer = new Epochs([first, { epoch: 9, first: 21 }]);
    const shorter = new Epochs([first, { epoch: 9, first: 6 }]);
    expect([longer.keptOf(before), shorter.keptOf(before)]).toEqual([10, 5]);
    expect(new Epochs([{ epoch: 3, first: 1 }]).keptOf(before)).toBe(0);
  });

  it("that only go on keep all that was before them", () => {
    const before = new Epochs([first]);
    expect(new Epochs([first, { epoch: 8, first: 11 }]).keptOf(before)).toBe(10);
  });
});

describe("a cursor", () => {
  it("that is newer than what was asked of the log for others in this turn is looked up anew", async () => {
    const log = new HandLog();
    log.add("t");
    const hub = createHub({ log: log.log });
    await hub.subscribe("t", () => undefined).ready;
    let newer: ReturnType<typeof connect> | undefined;
    // What the first asks for is made here, and not answered yet.
    log.onRead = async () => {
      if (newer !== undefined) return;
      log.add("t");
      newer = connect(hub, { topics: "t", lastEventId: "1-2" });
    };
    const older = connect(hub, { topics: "t", lastEventId: "1-1" });
    for (const client of [await older, await newer]) {
      await client?.until(({ checkpoints }) => checkpoints.length > 0);
      expect(client?.gaps).toEqual([]);
    }
    expect(newer).toBeDefined();
    await hub.close();
  });

  it.each([
    ["/?lastEventId=1-1#top", "1-1"],
    ["/?a=b&lastEventId=1-1", "1-1"],
    ["/?lastEventId=", undefined],
    ["/lastEventId", undefined],
  ])("in the address %s is %s", (url, cursor) => {
    expect(lastEventIdOf(undefined, url)).toBe(cursor);
    expect(lastEventIdOf("2-2", url)).toBe("2-2");
  });
});

describe("the time over which clients come back", () => {
  it.each([
    [0, 1000],
    [1000, 1000],
    [5000, 5000],
    [60_000, 60_000],
    [1_000_000, 60_000],
  ])("for %i that were sent away together is %i ms", (sessions, ms) => {
    expect(drainSpread(sessions)).toBe(ms);
  });
});

describe("pages of the past", () => {
  it("are read once for all who come while somebody does, and not kept after that", async () => {
    const inner = memoryLog();
    let reads = 0;
    const hub = createHub({
      log: {
        async open(feed) {
          const connection = await inner.open(feed);
          const read = connection.read.bind(connection);
          connection.read = (query) => {
            if (query.maxEntries > 0) reads++;
            return read(query);
          };
          return connection;
        },
      },
    });
    await hub.publish("t", { data: 1 });
    const come = async (): Promise<number> => {
      const client = await connect(hub, { topics: "t", from: "start" });
      await client.until(({ data }) => data.length === 1);
      client.leave();
      return reads;
    };
    // Who stays is the reason that those who come are readers of the same topics.
    await connect(hub, { topics: "t" });
    await Promise.all([come(), come()]);
    expect(reads).toBe(1);
    // Each who comes keeps them for up to two seconds more.
    await expect.poll(come, { interval: 2500 }).toBe(2);
    await hub.close();
  });
});
