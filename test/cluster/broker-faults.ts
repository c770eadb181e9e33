// What befalls a broker, and the ways to it: clients stay where they are, and have everything afterwards.
import { randomUUID } from "node:crypto";
import type { RawResponse } from "everstream/testing";
import { expect, it, onTestFinished } from "vitest";
import { dataOf, eventsAt, gapsOf, idsOf, openLive, PATIENCE_MS, sequenceOf } from "./clients.ts";
import { type ClusterNode, cutAndMend, cutOff, letIn } from "./nodes.ts";
import type { Started } from "./suite.ts";

/** So many heartbeats show that a session lives on. */
const HEARTBEATS = 3;

export function brokerFaultCases(started: Started): void {
  /** Each of these takes the broker, or the way to it, from the nodes, and gives it back. */
  const faults: [string, () => unknown, () => unknown][] = [
    [
      "is killed and started again",
      () => started().cluster.broker.kill(),
      () => started().cluster.broker.start(),
    ],
    ["is paused", () => started().cluster.broker.pause(), () => started().cluster.broker.resume()],
    ["is cut off", () => each(cutOff), () => each(letIn)],
    ["goes silent", () => each(({ network }) => network.stall()), () => each(cutAndMend)],
  ];
  const each = (act: (node: ClusterNode) => void): void => {
    for (const node of started().nodes) act(node);
  };

  it.each(faults)(
    "because it %s, sessions stay open with their heartbeats, and nothing is lost or doubled",
    async (_, take, give) => {
      const topic = randomUUID();
      const nodes = started().nodes.slice(0, 2);
      const clients = await Promise.all(nodes.map((node) => openLive(node, eventsAt([topic]))));
      onTestFinished(() => {
        for (const client of clients) client.destroy();
      });
      const accepted: string[] = [];
      let working = true;
      const publishers = nodes.map((node, from) =>
        publishAll(node, topic, `${from}`, accepted, () => working),
      );
      await Promise.all(
        clients.map((client) => client.until((each) => dataOf(each).length > 4, PATIENCE_MS)),
      );
      await take();
      const before = clients.map(({ comments }) => comments.length);
      await Promise.all(
        clients.map((client, at) =>
          client.until(({ comments }) => comments.length >= (before[at] ?? 0) + HEARTBEATS, PATIENCE_MS),
        ),
      );
      await give();
      // What is accepted from now on was published over the same sessions as before.
      const known = accepted.length;
      await expect.poll(() => accepted.length, { timeout: PATIENCE_MS }).toBeGreaterThan(known + 4);
      working = false;
      await Promise.all(publishers);
      for (const client of clients) {
        await client.until((each) => idsOf(each).length >= accepted.length, PATIENCE_MS);
        expect(gapsOf(client)).toEqual([]);
        expect(client.end).toBeUndefined();
      }
      const inOrder = [...accepted].sort((x, y) => sequenceOf(x) - sequenceOf(y));
      const [one, two] = clients as [RawResponse, RawResponse];
      expect(idsOf(one)).toEqual(inOrder);
      expect(idsOf(two)).toEqual(inOrder);
      expect(new Set(dataOf(one)).size).toBe(accepted.length);
    },
  );
}

/** Publishes one after the other; what fails is done again under the same name, until it is accepted. */
async function publishAll(
  node: ClusterNode,
  topic: string,
  prefix: string,
  accepted: string[],
  isWorking: () => boolean,
): Promise<void> {
  for (let n = 0; isWorking(); n++) {
    const name = `${prefix}:${n}`;
    for (;;) {
      const { id, code } = await node.publish(topic, name, name);
      if (id !== undefined) {
        accepted.push(id);
        break;
      }
      expect(code).toBe("LOG_FAILED");
    }
  }
}
