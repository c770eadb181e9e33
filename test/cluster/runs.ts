// Runs whose clients and whose requests come to other nodes than the one that produces, which may be killed.
import { randomUUID } from "node:crypto";
import type { RawResponse } from "everstream/testing";
import { expect, it, type TestContext } from "vitest";
import { cursorOf, endOf, gapsOf, openLive, PATIENCE_MS, runText } from "./clients.ts";
import { type ClusterNode, cutOff, letIn } from "./nodes.ts";
import { piecesIn, textOf } from "./scheme.ts";
import type { Started } from "./suite.ts";

export function runCases(started: Started): void {
  /** For one test. */
  const opens =
    ({ onTestFinished }: TestContext) =>
    async (node: ClusterNode, path: string, after?: string): Promise<RawResponse> => {
      const client = await openLive(node, path, after);
      onTestFinished(() => client.destroy());
      return client;
    };
  const untilPieces = (client: RawResponse, count: number) =>
    client.until((each) => piecesIn(runText(each)) >= count, PATIENCE_MS);
  const untilEnd = (client: RawResponse) => client.until((each) => endOf(each) !== undefined, PATIENCE_MS);

  it("started on one node are read live and to the end on another", async (context) => {
    const open = opens(context);
    const [a, b, c] = started().nodes;
    const path = `/runs/${randomUUID()}`;
    await a.startRun(path, { pieces: 40, everyMs: 100 });
    const reader = await open(b, path);
    await untilPieces(reader, 3);
    reader.destroy();
    const rest = await open(c, path, cursorOf(reader));
    await untilEnd(rest);
    expect(runText(reader, rest)).toBe(textOf(40));
    expect(endOf(rest)).toEqual({ type: "done" });
  });

  it("are started once, on whichever nodes they are asked for at once", async (context) => {
    const open = opens(context);
    const { nodes } = started();
    const path = `/runs/${randomUUID()}`;
    await Promise.all(nodes.map((node) => node.startRun(path, { pieces: 5, everyMs: 1 })));
    for (const node of nodes) {
      const reader = await open(node, path);
      await untilEnd(reader);
      expect(runText(reader)).toBe(textOf(5));
    }
  });

  it("are stopped from a node that neither produces nor reads them", async (context) => {
    const open = opens(context);
    const [a, b, c] = started().nodes;
    const path = `/runs/${randomUUID()}`;
    await a.startRun(path, { pieces: 10_000, everyMs: 10 });
    const reader = await open(b, path);
    await untilPieces(reader, 2);
    expect((await c.request(path, { method: "DELETE" })).status).toBe(204);
    await untilEnd(reader);
    expect(endOf(reader)).toEqual({ type: "error", code: "stopped" });
    expect(textOf(10_000).startsWith(runText(reader))).toBe(true);
  });

  it("whose node is killed end as abandoned, and say so on all others", async (context) => {
    const open = opens(context);
    const { cluster, nodes } = started();
    const [a, b] = nodes;
    const [dying] = (await cluster.add(1)) as [ClusterNode];
    const path = `/runs/${randomUUID()}`;
    await dying.startRun(path, { pieces: 10_000, everyMs: 10 });
    const readers = await Promise.all([open(a, path), open(b, path)]);
    await Promise.all(readers.map((reader) => untilPieces(reader, 2)));
    await dying.kill();
    for (const reader of readers) {
      await untilEnd(reader);
      expect(endOf(reader)).toEqual({ type: "error", code: "abandoned" });
    }
  });

  it("whose node is killed are gone on with where that is wanted: the whole text, and nothing of it twice", async (context) => {
    const open = opens(context);
    const { cluster, nodes } = started();
    const [a, b] = nodes;
    const [dying] = (await cluster.add(1)) as [ClusterNode];
    const path = `/kept/${randomUUID()}`;
    await dying.startRun(path, { pieces: 400, everyMs: 20 });
    const readers = await Promise.all([open(a, path), open(b, path)]);
    const own = await open(dying, path);
    await Promise.all([...readers, own].map((reader) => untilPieces(reader, 5)));
    await dying.kill();
    expect(await own.ended).toBe("cut");
    const moved = await open(b, path, cursorOf(own));
    for (const reader of [...readers, moved]) await untilEnd(reader);
    for (const reader of readers) expect(runText(reader)).toBe(textOf(400));
    expect(runText(own, moved)).toBe(textOf(400));
    for (const reader of [...readers, moved]) {
      expect(endOf(reader)).toEqual({ type: "done" });
      expect(gapsOf(reader)).toEqual([]);
    }
  });

  it.for<[string, (node: ClusterNode) => void, (node: ClusterNode) => void]>([
    ["hangs", (node) => node.pause(), (node) => node.resume()],
    ["loses the broker", cutOff, letIn],
  ])(
    "whose node %s for longer than its lease are another's: what it writes when it is back is refused",
    async ([, take, give], context) => {
      const open = opens(context);
      const { cluster, nodes } = started();
      const [a, b] = nodes;
      const [zombie] = (await cluster.add(1)) as [ClusterNode];
      const path = `/kept/${randomUUID()}`;
      await zombie.startRun(path, { pieces: 600, everyMs: 20 });
      const readers = await Promise.all([open(a, path), open(b, path)]);
      await Promise.all(readers.map((reader) => untilPieces(reader, 5)));
      take(zombie);
      // `run` once more says that somebody else has it.
      const takeovers = ({ events }: RawResponse) => events.filter(({ event }) => event === "run").length - 1;
      await Promise.all(readers.map((reader) => reader.until((each) => takeovers(each) > 0, PATIENCE_MS)));
      give(zombie);
      for (const reader of readers) {
        await untilEnd(reader);
        expect(runText(reader)).toBe(textOf(600));
        expect(endOf(reader)).toEqual({ type: "done" });
        expect(takeovers(reader)).toBe(1);
      }
    },
  );
}
