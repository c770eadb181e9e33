import type { Produce, Run } from "everstream";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Leases } from "../../src/runs/lease.ts";
import { remoteLog } from "../hub/remote-log.ts";
import { eventually } from "../session/eventually.ts";
import {
  aborted,
  Cluster,
  ended,
  endingsOf,
  gate,
  join,
  shortLease,
  statusOf,
  type TestNode,
  textOf,
} from "./nodes.ts";

let cluster: Cluster;
beforeEach(() => {
  cluster = new Cluster(undefined, shortLease());
});
afterEach(() => cluster.close());

/** A server that can be frozen, as a process is that gets no time: nothing it appends arrives until it thaws. */
function freezable(
  options: Parameters<Cluster["node"]>[0] = {},
): TestNode & { freeze(): void; thaw(): void } {
  let frozen: ReturnType<typeof gate> | undefined;
  const log = remoteLog(cluster.log, {
    onCall: (call, moment) => (call === "append" && moment === "before" ? frozen?.promise : undefined),
  });
  return {
    ...cluster.node(options, log),
    freeze: () => {
      frozen = gate();
    },
    thaw: () => {
      frozen?.open();
      frozen = undefined;
    },
  };
}

const writeAndWait: Produce = async (run: Run) => {
  await run.text("so far");
  await aborted(run.signal);
};

describe("a producer that dies", () => {
  it("leads to abandoned for all readers on every node, once", async () => {
    const nodes = [cluster.node(), cluster.node(), cluster.node()] as const;
    const [first, ...others] = nodes;
    await first.runs.start({ id: "a", produce: writeAndWait });
    const clients = await Promise.all([...others, ...others].map((node) => join(node, "a")));
    await Promise.all(clients.map((client) => client.until((seen) => textOf(seen) === "so far")));
    await first.crash();
    for (const client of clients) {
      await ended(client);
      expect(textOf(client)).toBe("so far");
      expect(endingsOf(client)).toEqual([
        { type: "error", data: { code: "abandoned", message: expect.any(String) } },
      ]);
      expect(client.gaps).toEqual([]);
      expect(await statusOf(others[0] as TestNode, "a", client.lastEventId)).toBe(204);
    }
    expect(await others[0]?.runs.get("a")).toMatchObject({ state: "abandoned" });
  });

  it("after it was asked to stop leads to stopped", async () => {
    const [first, other] = [freezable(), cluster.node()];
    await first.runs.start({ id: "a", produce: writeAndWait });
    first.freeze();
    await other.runs.stop("a");
    expect(await other.runs.ended("a")).toMatchObject({ state: "stopped" });
    first.thaw();
  });

  it("before it wrote anything frees the id", async () => {
    const other = cluster.node();
    let appends = 0;
    const log = remoteLog(cluster.log, {
      // The claim arrives, the start does not.
      onCall: (call, moment) =>
        call === "append" && moment === "before" && ++appends > 1 ? new Promise(() => undefined) : undefined,
    });
    const half = cluster.node({}, log);
    void half.runs.start({ id: "a", produce: writeAndWait });
    await eventually(async () => expect(await other.runs.running()).toEqual(["a"]));
    cluster.nodes.splice(cluster.nodes.indexOf(half), 1);
    await vi.waitFor(async () => expect(await other.runs.running()).toEqual([]), { timeout: 10_000 });
    expect(await other.runs.start({ id: "a", produce: () => undefined })).toMatchObject({ joined: false });
  });

  it("is not taken for dead while it renews its lease, however little it writes", async () => {
    const [first, other] = [cluster.node(), cluster.node()];
    const finish = gate();
    await first.runs.start({ id: "a", produce: () => finish.promise });
    await new Promise((resolve) => setTimeout(resolve, shortLease() * 4));
    finish.open();
    expect(await other.runs.ended("a")).toMatchObject({ state: "done" });
  });
});

describe("a server whose feed brings nothing", () => {
  /** Runs "a" on one server, and on the other one nothing comes by itself from then on. */
  async function startUnheard(produce: Produce): Promise<{ first: TestNode; deaf: TestNode }> {
    let isDeaf = false;
    const first = cluster.node();
    const deaf = cluster.node({}, remoteLog(cluster.log, { loses: () => isDeaf }));
    await first.runs.start({ id: "a", produce });
    expect(await deaf.runs.running()).toEqual(["a"]);
    isDeaf = true;
    return { first, deaf };
  }

  const beats = async ({ hub }: TestNode): Promise<number> =>
    (await hub.read("run:")).events.filter(({ type }) => type === "beat").length;

  it("ends nobody's runs who has shown the log that it lives", async () => {
    const finish = gate();
    const { first } = await startUnheard(() => finish.promise);
    const before = await beats(first);
    await vi.waitFor(async () => expect(await beats(first)).toBeGreaterThan(before + 10), {
      timeout: 10_000,
    });
    finish.open();
    expect(await first.runs.ended("a")).toMatchObject({ state: "done" });
  });

  it("ends the runs of a process whose last sign in the log is a lease old, though none of them came here", async () => {
    const { first, deaf } = await startUnheard(writeAndWait);
    const before = await beats(first);
    await vi.waitFor(async () => expect(await beats(first)).toBeGreaterThan(before), { timeout: 10_000 });
    await first.crash();
    await vi.waitFor(async () => expect(await deaf.runs.get("a")).toMatchObject({ state: "abandoned" }), {
      timeout: 10_000,
    });
  });
});

describe("a producer that loses its lease while writing", () => {
  it("writes nothing after the terminal event, and hears that it has lost", async () => {
    const [zombie, other] = [freezable(), cluster.node()];
    const over = gate();
    const errors: unknown[] = [];
    await zombie.runs.start({
      id: "a",
      produce: async (run) => {
        await run.text("before");
        for (let index = 0; !run.signal.aborted; index++) {
          await run.send("tick", index).catch((error) => errors.push(error));
        }
        over.open();
      },
    });
    const client = await join(other, "a");
    await client.until(({ events }) => events.some(({ event }) => event === "tick"));
    zombie.freeze();
    await ended(client);
    zombie.thaw();
    await over.promise;
    expect(errors).toEqual([expect.objectContaining({ code: "STREAM_ENDED" })]);
    expect(endingsOf(client)).toHaveLength(1);
    const { events } = await other.hub.read("run:a");
    expect(events.at(-1)).toMatchObject({ type: "error", data: { code: "abandoned" } });
    const ticks = client.events.filter(({ event }) => event === "tick").map(({ data }) => Number(data));
    expect(ticks).toEqual(ticks.map((_, index) => index));
  });

  it("can't write between the text that is handed over and what follows it", async () => {
    const zombie = freezable();
    const finish = gate();
    const onAbandoned = vi.fn(
      (_: unknown, text: string): Produce =>
        async (run) => {
          await run.text(`|after ${text.length}`);
          await finish.promise;
        },
    );
    const other = cluster.node({ onAbandoned });
    const over = gate();
    await zombie.runs.start({
      id: "a",
      input: { question: 1 },
      produce: async (run) => {
        while (!run.signal.aborted) {
          await run.text("x".repeat(600)).catch(() => undefined);
          await new Promise((resolve) => setImmediate(resolve));
        }
        over.open();
      },
    });
    const client = await join(other, "a");
    await client.until((seen) => textOf(seen).length > 1000);
    zombie.freeze();
    await client.until((seen) => textOf(seen).includes("|"));
    // What was under way when it froze arrives now, while the other one writes.
    zombie.thaw();
    await over.promise;
    await new Promise((resolve) => setTimeout(resolve, 50));
    finish.open();
    await ended(client);
    const text = textOf(client);
    const [before = "", after = ""] = text.split("|");
    expect(before).toBe("x".repeat(before.length));
    expect(after).toBe(`after ${before.length}`);
    expect(endingsOf(client)).toEqual([{ type: "done", data: {} }]);
    expect(onAbandoned).toHaveBeenCalledTimes(1);
    expect(onAbandoned).toHaveBeenCalledWith(
      expect.objectContaining({ id: "a", state: "running", input: { question: 1 } }),
      before,
    );
    const late = await join(other, "a");
    await ended(late);
    expect(textOf(late)).toBe(text);
  });
});

describe("taking over", () => {
  it("is done by one of the nodes that are left", async () => {
    const onAbandoned = vi.fn((): Produce => async (run) => run.text(" and on"));
    const first = cluster.node();
    const others = [
      cluster.node({ onAbandoned }),
      cluster.node({ onAbandoned }),
      cluster.node({ onAbandoned }),
    ];
    await first.runs.start({ id: "a", produce: writeAndWait });
    const client = await join(others[0] as TestNode, "a");
    await client.until((seen) => textOf(seen) !== "");
    await first.crash();
    await ended(client);
    expect(textOf(client)).toBe("so far and on");
    expect(endingsOf(client)).toHaveLength(1);
    expect(onAbandoned).toHaveBeenCalledTimes(1);
  });

  it.each([
    ["gives no producer", (): undefined => undefined],
    [
      "throws",
      (): never => {
        throw new Error("no");
      },
    ],
  ])("ends as abandoned where `onAbandoned` %s", async (_, onAbandoned) => {
    vi.spyOn(console, "error").mockImplementation(() => undefined);
    const [first, other] = [cluster.node(), cluster.node({ onAbandoned })];
    await first.runs.start({ id: "a", produce: writeAndWait });
    await first.crash();
    expect(await other.runs.ended("a")).toMatchObject({ state: "abandoned" });
    vi.restoreAllMocks();
  });

  it("can fail, too, and be taken over again", async () => {
    const takers: TestNode[] = [];
    const nodes = Array.from({ length: 3 }, (_, index) =>
      cluster.node({
        onAbandoned: () => {
          takers.push(nodes[index] as TestNode);
          return takers.length < 3 ? writeAndWait : async (run) => run.text("!");
        },
      }),
    );
    const first = cluster.node();
    await first.runs.start({ id: "a", produce: writeAndWait });
    const left = new Set([first, ...nodes]);
    for (let round = 1; round <= 3; round++) {
      const owner = takers.at(-1) ?? first;
      left.delete(owner);
      const client = await join([...left][0] as TestNode, "a");
      await client.until((seen) => textOf(seen) === "so far".repeat(round));
      await owner.crash();
      await vi.waitFor(() => expect(takers).toHaveLength(round), { timeout: 10_000 });
    }
    const client = await join(takers[2] as TestNode, "a");
    await ended(client);
    expect(textOf(client)).toBe("so farso farso far!");
    expect(endingsOf(client)).toHaveLength(1);
  });
});

describe("a server that is closed in good order", () => {
  it("ends its runs as abandoned at once", async () => {
    const [first, other] = [cluster.node({ lease: 60_000 }), cluster.node({ lease: 60_000 })];
    await first.runs.start({ id: "a", produce: writeAndWait });
    await first.runs.close();
    expect(await other.runs.get("a")).toMatchObject({ state: "abandoned" });
  });

  it("leaves them to others where these go on, text and all", async () => {
    const onAbandoned = (): Produce => async (run) => run.text(" and on");
    const [first, other] = [
      cluster.node({ lease: 60_000, onAbandoned }),
      cluster.node({ lease: 60_000, onAbandoned }),
    ];
    await first.runs.start({
      id: "a",
      produce: async (run) => {
        await run.text("so");
        await run.text(" far");
        await aborted(run.signal);
      },
    });
    const client = await join(other, "a");
    await client.until((seen) => textOf(seen) !== "");
    await first.runs.close();
    await ended(client);
    expect(textOf(client)).toBe("so far and on");
  });

  it("lets them come to their end where there is time", async () => {
    const node = cluster.node();
    const finish = gate();
    await node.runs.start({ id: "a", produce: () => finish.promise });
    const closed = node.runs.close({ within: 60_000 });
    await expect(node.runs.start({ produce: writeAndWait })).rejects.toMatchObject({ code: "HUB_CLOSED" });
    finish.open();
    await closed;
    expect(await cluster.node().runs.get("a")).toMatchObject({ state: "done" });
  });
});

describe("the terminal event", () => {
  it("stays the only one when the process dies between it and its acknowledgement", async () => {
    let begun = false;
    const log = remoteLog(cluster.log, {
      onCall: (call, moment) =>
        begun && call === "append" && moment === "after" ? new Promise(() => undefined) : undefined,
    });
    const first = cluster.node({}, log);
    const finish = gate();
    await first.runs.start({
      id: "a",
      produce: async (run) => {
        await run.text("all");
        await run.send("acknowledged");
        begun = true;
        await finish.promise;
      },
    });
    const other = cluster.node();
    const client = await join(other, "a");
    await client.until((seen) => textOf(seen) === "all");
    await eventually(() => expect(begun).toBe(true));
    finish.open();
    await client.until((seen) => endingsOf(seen).length > 0);
    cluster.nodes.splice(cluster.nodes.indexOf(first), 1);
    await first.crash();
    await ended(client);
    expect(endingsOf(client)).toEqual([{ type: "done", data: {} }]);
    await vi.waitFor(async () => expect(await other.runs.running()).toEqual([]), { timeout: 10_000 });
    expect(await other.runs.get("a")).toMatchObject({ state: "done" });
  });
});

describe("the clock of leases", () => {
  it("does not run while the process sleeps, so that who wakes up judges nobody by what it missed", () => {
    const leases = new Leases(1000, {
      isNeeded: () => false,
      renew: async () => undefined,
      check: () => undefined,
    });
    let now = performance.now();
    const pass = (ms: number): void => {
      now += ms;
      leases.onPulse(now);
    };
    leases.sign("other");
    pass(600);
    pass(60_000);
    pass(300);
    expect(leases.isExpired("other")).toBe(false);
    pass(300);
    expect(leases.isExpired("other")).toBe(true);
    leases.close();
  });
});
