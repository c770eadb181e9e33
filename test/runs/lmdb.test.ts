// What outlives the process: runs on the log that is on disk.
import type { Produce } from "everstream";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { remoteLog } from "../hub/remote-log.ts";
import { lmdbFixture } from "../logs/lmdb-folder.ts";
import { eventually } from "../session/eventually.ts";
import { aborted, Cluster, ended, endingsOf, gate, join, statusOf, textOf } from "./nodes.ts";

let fixture: Awaited<ReturnType<typeof lmdbFixture>>;
let cluster: Cluster;
beforeEach(async () => {
  fixture = await lmdbFixture();
  cluster = new Cluster(fixture.log);
});
afterEach(async () => {
  await cluster.close();
  await fixture.dispose();
});

const writeAndWait: Produce = async (run) => {
  await run.text("so far");
  await run.send("written");
  await aborted(run.signal);
};

/** Leases that would outlast any test: what is found at opening does not wait for them. */
const lease = 600_000;

describe("runs on disk", () => {
  it("that are found running at opening are abandoned at once", async () => {
    const first = cluster.node({ lease });
    await first.runs.start({ id: "a", produce: writeAndWait });
    const before = await join(first, "a");
    await before.until(({ events }) => events.some(({ event }) => event === "written"));
    await first.crash();
    const second = cluster.node({ lease });
    const after = await join(second, "a", { lastEventId: before.lastEventId });
    await ended(after);
    expect(endingsOf(after)).toEqual([
      { type: "error", data: { code: "abandoned", message: expect.any(String) } },
    ]);
    expect(after.gaps).toEqual([]);
    await eventually(async () => expect(await second.runs.running()).toEqual([]));
  });

  it("can be gone on with after a restart, for readers as if nothing had been", async () => {
    const first = cluster.node({ lease });
    await first.runs.start({ id: "a", input: { question: "?" }, produce: writeAndWait });
    const before = await join(first, "a");
    await before.until(({ events }) => events.some(({ event }) => event === "written"));
    await first.crash();
    const asked: unknown[] = [];
    const second = cluster.node({
      lease,
      onAbandoned: ({ input }, text) => {
        asked.push(input, text);
        return (run) => run.text(" and on");
      },
    });
    const after = await join(second, "a", { lastEventId: before.lastEventId });
    await ended(after);
    expect(asked).toEqual([{ question: "?" }, "so far"]);
    expect(textOf(before) + textOf(after)).toBe("so far and on");
    expect(endingsOf(after)).toEqual([{ type: "done", data: {} }]);
    expect(after.gaps).toEqual([]);
  });

  it("have one ending where the process dies between the terminal event and its acknowledgement", async () => {
    let isEnding = false;
    const log = remoteLog(fixture.log, {
      onCall: (call, moment) =>
        isEnding && call === "append" && moment === "after" ? new Promise(() => undefined) : undefined,
    });
    const first = cluster.node({ lease }, log);
    const finish = gate();
    await first.runs.start({
      id: "a",
      key: "k",
      produce: async (run) => {
        await run.text("all");
        await finish.promise;
      },
    });
    const before = await join(first, "a");
    await before.until((seen) => textOf(seen) === "all");
    before.leave();
    isEnding = true;
    finish.open();
    await eventually(async () => expect((await first.hub.read("run:a")).events.at(-1)?.type).toBe("done"));
    cluster.nodes.splice(cluster.nodes.indexOf(first), 1);
    await first.crash();
    const onAbandoned = vi.fn();
    const second = cluster.node({ lease, onAbandoned });
    const after = await join(second, "a", { lastEventId: before.lastEventId });
    await ended(after);
    expect(endingsOf(after)).toEqual([{ type: "done", data: {} }]);
    await eventually(async () => expect(await second.runs.running()).toEqual([]));
    expect(await second.runs.get("a")).toMatchObject({ state: "done" });
    expect(onAbandoned).not.toHaveBeenCalled();
    expect(await second.runs.start({ id: "b", key: "k", produce: () => undefined })).toMatchObject({
      joined: false,
    });
  });

  it("keep their state and their text over a restart", async () => {
    const first = cluster.node();
    await first.runs.start({
      id: "a",
      produce: async (run) => {
        await run.text("all of it");
        return { title: "t" };
      },
    });
    await first.runs.ended("a");
    await first.runs.close();
    await first.hub.close();
    const second = cluster.node();
    expect(await second.runs.get("a")).toMatchObject({ state: "done", result: { title: "t" } });
    const client = await join(second, "a");
    await ended(client);
    expect(textOf(client)).toBe("all of it");
    expect(await statusOf(second, "a", client.lastEventId)).toBe(204);
    expect(await second.runs.start({ id: "a", produce: writeAndWait })).toMatchObject({ joined: true });
  });

  it("are not touched by another hub of the same process", async () => {
    const [first, other] = [cluster.node({ lease }), cluster.node({ lease })];
    await first.runs.start({ id: "a", produce: writeAndWait });
    const late = cluster.node({ lease });
    expect(await late.runs.running()).toEqual(["a"]);
    await new Promise((resolve) => setTimeout(resolve, 600));
    expect(await other.runs.get("a")).toMatchObject({ state: "running" });
    await late.runs.stop("a");
    expect(await other.runs.ended("a")).toMatchObject({ state: "stopped" });
  });
});
