// What processes know together, where the log's feed is behind, and where it has lost something.
import { createHub, type Hub, type HubEvent, type TopicPage } from "everstream";
import { afterEach, describe, expect, it } from "vitest";
import { Registry } from "../../src/runs/registry.ts";
import type { RunRecord } from "../../src/runs/registry-state.ts";
import { Cluster, type TestNode } from "./nodes.ts";

const HOST = {
  onSign: () => undefined,
  onLeave: () => undefined,
  onChange: () => undefined,
  onReset: () => undefined,
};

describe("the control topic on a log whose feed is late", () => {
  let cluster: Cluster;
  afterEach(() => cluster.close());

  async function turns(count: number): Promise<void> {
    for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Servers whose own events come back to them some turns after they were acknowledged. */
  function late(count: number): TestNode[] {
    cluster = new Cluster();
    const log = {
      open: (feed: Parameters<typeof cluster.log.open>[0]) => {
        let last = Promise.resolve();
        return cluster.log.open({
          onEpoch: (epochs, head) => feed.onEpoch(epochs, head),
          onEntries(delivery) {
            const before = last;
            last = turns(4).then(async () => {
              await before;
              feed.onEntries(delivery);
            });
          },
        });
      },
    };
    return Array.from({ length: count }, () => cluster.node({ hub: createHub({ log }) }));
  }

  async function size(): Promise<number> {
    const hub = createHub({ log: cluster.log });
    let count = 0;
    let after: string | undefined;
    for (let complete = false; !complete; ) {
      const page = await hub.read("run:", { after });
      count += page.events.length;
      after = page.position;
      complete = page.complete;
    }
    await hub.close();
    return count;
  }

  it.each([
    [1, 1],
    [1, 20],
    [3, 5],
  ])("stays bounded with %i servers that write %i events at a time", async (servers, atOnce) => {
    const nodes = late(servers);
    let greatest = 0;
    for (let round = 0; round < 3000 / servers / atOnce; round++) {
      const stops = nodes.flatMap(({ runs }, node) =>
        Array.from({ length: atOnce }, (_, index) => runs.stop(`${node}-${round}-${index}`)),
      );
      await Promise.all(stops);
      await turns(1);
      if (round % 10 === 0) greatest = Math.max(greatest, await size());
    }
    expect(greatest).toBeGreaterThan(500);
    expect(greatest).toBeLessThan(1300);
  });
});

/** A hub whose one topic is the test's to fill, and whose feed says what the test says. */
class HandHub {
  events: HubEvent[] = [];
  tell: (event: HubEvent) => void = () => undefined;
  #published = 0;

  get hub(): Hub {
    const subscribe = (_: string, listener: (event: HubEvent) => void) => {
      this.tell = listener;
      return Object.assign(() => undefined, { ready: Promise.resolve() });
    };
    const read = async (_: string, { last }: { last?: number } = {}): Promise<Partial<TopicPage>> => ({
      events: last === undefined ? [...this.events] : this.events.slice(-last),
      complete: true,
      position: "e-0",
      known: true,
    });
    const publish = async () => `e-${(++this.#published).toString(36)}`;
    return { subscribe, read, publish } as unknown as Hub;
  }
}

function event(type: string, sequence: number, data: unknown): HubEvent {
  return { topic: "run:", type, id: `e-${sequence}`, data, meta: {}, time: 1 } as HubEvent;
}

function snapshot(sequence: number, runs: RunRecord[], part = { isFirst: true, isLast: true }): HubEvent {
  return event("snapshot", sequence, { ...part, stops: [], runs });
}

/** A registry that has claimed the run `mine`; and the claim's outcome. */
async function claiming() {
  const hand = new HandHub();
  const registry = new Registry(hand.hub, "run:", HOST);
  await registry.ready();
  const outcome = registry.claim({ id: "mine", token: "token", key: "k", replace: false });
  await new Promise((resolve) => setTimeout(resolve, 5));
  return { hand, outcome, node: registry.node };
}

const OTHER: RunRecord = { id: "other", token: "o", node: "n", key: "k", since: "e-0" };
const gap = (reason: string) => event("sse:gap", 1, { reason });

describe("a claim in whose place a snapshot comes", () => {
  it.each([
    ["refused", "busy", OTHER],
    ["joined", "joined", { ...OTHER, id: "mine" }],
    ["granted", "won", { ...OTHER, id: "mine", token: "token" }],
  ])("is %s by what that says", async (_, expected, run) => {
    const { hand, outcome } = await claiming();
    hand.tell(gap("trimmed"));
    hand.tell(snapshot(2, [], { isFirst: true, isLast: false }));
    hand.tell(snapshot(3, [run], { isFirst: false, isLast: true }));
    expect(await outcome).toBe(expected);
  });

  it("is not settled by one that knows nothing of it", async () => {
    const { hand, outcome, node } = await claiming();
    hand.tell(snapshot(0, [{ ...OTHER, id: "mine" }]));
    hand.tell(event("ended", 0, { id: "mine", token: "o" }));
    hand.tell(event("claim", 1, { id: "mine", token: "token", node, key: "k" }));
    expect(await outcome).toBe("won");
  });
});

describe("a topic that is read anew", () => {
  it.each(["epoch", "overflow", "deleted"])("settles what was waited for, after %s", async (reason) => {
    const { hand, outcome } = await claiming();
    hand.events = [event("beat", 9, { node: "n" })];
    hand.tell(gap(reason));
    expect(await outcome).toBe("busy");
  });

  it("lets go of those who want to know what it held", async () => {
    const hand = new HandHub();
    const registry = new Registry(hand.hub, "run:", HOST);
    await registry.ready();
    hand.events = [event("beat", 9, { node: "n" })];
    const known = registry.catchUp();
    await new Promise((resolve) => setTimeout(resolve, 5));
    hand.tell(gap("epoch"));
    await known;
  });
});
