// Published on any node, read on any: order, resume elsewhere, a push that is lost, a drain.
import { randomUUID } from "node:crypto";
import type { RawResponse } from "everstream/testing";
import { expect, it, onTestFinished } from "vitest";
import {
  cursorOf,
  dataOf,
  eventsAt,
  gapsOf,
  idsOf,
  openLive,
  PATIENCE_MS,
  publishSurely,
  sequenceOf,
  untilCount,
} from "./clients.ts";
import { type ClusterNode, losePush } from "./nodes.ts";
import type { Started } from "./suite.ts";

const MOVERS = 50;

export function eventCases(started: Started): void {
  /** For one test. */
  const open = async (node: ClusterNode, path: string, after?: string): Promise<RawResponse> => {
    const client = await openLive(node, path, after);
    onTestFinished(() => client.destroy());
    return client;
  };

  it("published on all nodes at once are seen on all in one order, without a hole or a double", async () => {
    const { nodes } = started();
    const topics = [randomUUID(), randomUUID()];
    const clients = await Promise.all(
      nodes.flatMap((node) => [1, 2].map(() => open(node, eventsAt(topics)))),
    );
    const sent = nodes.flatMap((node, from) =>
      Array.from({ length: 40 }, async (_, n) => {
        const data = `${from}:${n}`;
        return { id: await publishSurely(node, topics[n % 2] as string, data), data };
      }),
    );
    const published = (await Promise.all(sent)).sort((x, y) => sequenceOf(x.id) - sequenceOf(y.id));
    for (const client of clients) {
      await untilCount(client, published.length);
      expect(idsOf(client)).toEqual(published.map(({ id }) => id));
      expect(dataOf(client)).toEqual(published.map(({ data }) => data));
    }
  });

  it("are resumed exactly on another node, wherever they were published", async () => {
    const { nodes } = started();
    const [a, b, c] = nodes;
    const topic = randomUUID();
    const publish = async (from: number, to: number): Promise<void> => {
      for (let n = from; n < to; n++) await publishSurely(nodes[n % 3] as ClusterNode, topic, n);
    };
    const first = await open(a, eventsAt([topic]));
    await publish(0, 10);
    await untilCount(first, 10);
    first.destroy();
    await publish(10, 20);
    const second = await open(b, eventsAt([topic]), cursorOf(first));
    await publish(20, 30);
    await untilCount(second, 20);
    second.destroy();
    await publish(30, 35);
    const third = await open(c, eventsAt([topic]), cursorOf(second));
    await untilCount(third, 5);
    const seen = [first, second, third];
    expect(seen.flatMap(dataOf)).toEqual(Array.from({ length: 35 }, (_, n) => n));
    expect(seen.flatMap(gapsOf)).toEqual([]);
  });

  it("whose push is lost are not jumped by those of another topic, here or on another node", async () => {
    const { nodes } = started();
    const [a, b] = nodes;
    const [topicA, topicB] = [randomUUID(), randomUUID()] as const;
    const path = eventsAt([topicA, topicB]);
    const client = await open(a, path);
    const first = await publishSurely(b, topicA, "A#8");
    await untilCount(client, 1);
    const marker = `B#9-${randomUUID()}`;
    const lost = losePush(a, marker);
    const nine = await publishSurely(b, topicB, marker);
    await lost;
    const ten = await publishSurely(b, topicA, "A#10");
    await untilCount(client, 3);
    expect(dataOf(client)).toEqual(["A#8", marker, "A#10"]);
    expect(idsOf(client)).toEqual([first, nine, ten]);
    for (const node of nodes) {
      const again = await open(node, path, first);
      await untilCount(again, 2);
      expect(dataOf(again)).toEqual([marker, "A#10"]);
    }
  });

  it("whose push is lost come by themselves, where nothing else is published", async () => {
    const [a, b] = started().nodes;
    const topic = randomUUID();
    const client = await open(a, eventsAt([topic]));
    const marker = `alone-${randomUUID()}`;
    const lost = losePush(a, marker);
    await publishSurely(b, topic, marker);
    await lost;
    await untilCount(client, 1);
    expect(dataOf(client)).toEqual([marker]);
  });

  it("reach clients that a drained node sends away, all of them, each once", async () => {
    const { cluster, nodes } = started();
    const [a, b] = nodes;
    const topic = randomUUID();
    const [leaving] = (await cluster.add(1)) as [ClusterNode];
    const clients = await Promise.all(
      Array.from(
        { length: MOVERS },
        async (): Promise<RawResponse[]> => [await open(leaving, eventsAt([topic]))],
      ),
    );
    const moving = clients.map(async (parts) => {
      const [first] = parts as [RawResponse];
      expect(await first.ended).toBe("complete");
      parts.push(await open(b, eventsAt([topic]), cursorOf(first)));
    });
    const draining = leaving.drain(300);
    const count = 60;
    for (let n = 0; n < count; n++) await publishSurely(nodes[n % 3] as ClusterNode, topic, n);
    await draining;
    await Promise.all(moving);
    await publishSurely(a, topic, count);
    const wanted = Array.from({ length: count + 1 }, (_, n) => n);
    for (const parts of clients) {
      await parts.at(-1)?.until((last) => dataOf(last).at(-1) === count, PATIENCE_MS);
      expect(parts.flatMap(dataOf)).toEqual(wanted);
      expect(parts.flatMap(gapsOf)).toEqual([]);
    }
    expect((await leaving.open(eventsAt([topic]))).status).not.toBe(500);
  });

  it("of a publish that is repeated on another node are stored once", async () => {
    const [a, b, c] = started().nodes;
    const topic = randomUUID();
    const client = await open(c, eventsAt([topic]));
    const first = await publishSurely(a, topic, "once", "the-same");
    expect(await publishSurely(b, topic, "once", "the-same")).toBe(first);
    const last = await publishSurely(b, topic, "last");
    await client.until((each) => idsOf(each).includes(last), PATIENCE_MS);
    expect(dataOf(client)).toEqual(["once", "last"]);
  });
}
