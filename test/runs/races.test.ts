// Races by name, each at the very moment. Of others there are tests where their matter is: stop before start, stop at the
// moment of the start and stop of an old run in stop.test.ts; two starts of one id in lifecycle.test.ts; a lease that is
// lost while writing in lease.test.ts; a restart before the end is acknowledged, also in lmdb.test.ts.
import { createHub, type HubEvent } from "everstream";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { remoteLog } from "../hub/remote-log.ts";
import { aborted, Cluster, ended, endingsOf, gate, hubHeldAt, join, type TestNode, textOf } from "./nodes.ts";

let cluster: Cluster;
beforeEach(() => {
  cluster = new Cluster();
});
afterEach(() => cluster.close());

/** Long enough that no sign of life falls into what is held up. */

/** A server whose appends can be held up, before they are in the log or before it hears of that. */
function holdable(): TestNode & {
  /** Holds up the next append. Resolves when it is there; to what lets it go. */
  hold(moment: "before" | "after"): Promise<() => void>;
} {
  let held: { moment: string; arrived(): void; promise: Promise<void> } | undefined;
  const log = remoteLog(cluster.log, {
    onCall: (call, moment) => {
      if (call !== "append" || moment !== held?.moment) return undefined;
      const { arrived, promise } = held;
      held = undefined;
      arrived();
      return promise;
    },
  });
  return {
    ...cluster.node({}, log),
    hold: (moment) =>
      new Promise((resolve) => {
        const { promise, open } = gate();
        held = { moment, arrived: () => resolve(open), promise };
      }),
  };
}

describe("while the terminal event is on its way", () => {
  const MOMENTS = [
    ["before the log has it", "before"],
    ["before its writer knows that the log has it", "after"],
  ] as const;

  /** A run that has written all, and whose end is held up; its producer's server, another one, a reader from before. */
  async function ending(moment: "before" | "after") {
    const [first, other] = [holdable(), cluster.node()];
    const finish = gate();
    await first.runs.start({
      id: "a",
      key: "k",
      produce: async (run) => {
        await run.text("all");
        await finish.promise;
      },
    });
    const early = await join(other, "a");
    await early.until((seen) => textOf(seen) === "all");
    const holding = first.hold(moment);
    finish.open();
    return { first, other, early, go: await holding };
  }

  it.each(MOMENTS)("a join gets everything and one ending, %s", async (_, moment) => {
    const { first, other, early, go } = await ending(moment);
    const joined = [await join(first, "a"), await join(other, "a")];
    go();
    for (const client of [early, ...joined]) {
      await ended(client);
      expect(textOf(client)).toBe("all");
      expect(endingsOf(client)).toEqual([{ type: "done", data: {} }]);
      expect(client.gaps).toEqual([]);
    }
  });

  it.each(MOMENTS)("a stop from anywhere adds no second ending, %s", async (_, moment) => {
    const { first, other, early, go } = await ending(moment);
    const stopped = Promise.all([first.runs.stop("a"), other.runs.stop("a")]);
    go();
    await stopped;
    await ended(early);
    expect(endingsOf(early)).toEqual([{ type: "done", data: {} }]);
    expect(await other.runs.get("a")).toMatchObject({ state: "done" });
    const { events } = await other.hub.read("run:a");
    expect(events.filter(({ type }) => type === "done" || type === "error")).toHaveLength(1);
  });

  it.each(MOMENTS)("a start of the same id joins, %s", async (_, moment) => {
    const { other, early, go } = await ending(moment);
    const started = other.runs.start({ id: "a", produce: (run) => run.text("again") });
    go();
    expect(await started).toMatchObject({ joined: true });
    await ended(early);
    const late = await join(other, "a");
    await ended(late);
    expect(textOf(late)).toBe("all");
  });
});

describe("a start whose process sleeps before it is in the log", () => {
  it("produces nothing where the run was given up meanwhile, and its key to another", async () => {
    const held = hubHeldAt("run:a", createHub({ log: cluster.log }));
    const [sleeper, other] = [cluster.node({ hub: held.hub }), cluster.node()];
    const produce = vi.fn();
    const started = sleeper.runs.start({ id: "a", key: "k", produce });
    await held.arrived;
    // What another process writes once the sleeper's lease is over.
    const { events } = await other.hub.read("run:");
    const claim = events.find(({ type }) => type === "claim") as HubEvent;
    const { token } = claim.data as { token: string };
    await other.hub.publish("run:", { type: "ended", data: { id: "a", token } });
    await other.runs.start({ id: "b", key: "k", produce: (run) => aborted(run.signal) });
    held.open();
    expect(await started).toEqual({ id: "a", state: "abandoned", joined: false });
    expect(produce).not.toHaveBeenCalled();
    expect(await other.runs.get("a")).toMatchObject({ state: "abandoned" });
    expect(await other.runs.holder("k")).toBe("b");
  });
});

describe("two starts at once", () => {
  it("of one key on two nodes: one starts, the other is refused, and the key is free after that", async () => {
    const [node, other] = [cluster.node(), cluster.node()];
    for (let round = 0; round < 20; round++) {
      const ids = [`x${round}`, `y${round}`];
      const starts = await Promise.allSettled(
        [node, other].map(({ runs }, index) =>
          runs.start({ id: ids[index] as string, key: "k", produce: (run) => aborted(run.signal) }),
        ),
      );
      expect(starts.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
      const refused = starts.findIndex(({ status }) => status === "rejected");
      expect(starts[refused]).toMatchObject({ reason: { code: "RUN_BUSY" } });
      expect(await node.runs.find(ids[refused] as string)).toEqual({ kind: "unknown" });
      await node.runs.stop(ids[1 - refused] as string);
    }
  });

  it("that replace each other leave one of them", async () => {
    const [node, other] = [cluster.node(), cluster.node()];
    for (let round = 0; round < 20; round++) {
      const ids = [`x${round}`, `y${round}`];
      await Promise.all(
        [node, other].map(({ runs }, index) =>
          runs.start({
            id: ids[index] as string,
            key: "k",
            onBusy: "replace",
            produce: (run) => aborted(run.signal),
          }),
        ),
      );
      const holder = await node.runs.holder("k");
      expect(ids).toContain(holder);
      const replaced = ids.find((id) => id !== holder) as string;
      expect(await other.runs.ended(replaced)).toMatchObject({ state: "stopped" });
      expect(await other.runs.get(holder as string)).toMatchObject({ state: "running" });
    }
  });
});
