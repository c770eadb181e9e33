// Clients that are cut off all the time, publishers that repeat what failed, on nodes and a broker that are killed, drained,
// paused and cut off: each client gets every event of its topics, once and in order.
import { setTimeout as sleep } from "node:timers/promises";
import { formatPosition } from "everstream/protocol";
import { expect, it, onTestFinished } from "vitest";
import { Account, Received } from "../resume/account.ts";
import { readRaw } from "../resume/raw-client.ts";
import { randomFrom, scale, seed } from "../resume/seed.ts";
import { TOPICS, topicsOf } from "../resume/topics.ts";
import { eventsAt, PATIENCE_MS } from "./clients.ts";
import {
  type Broker,
  type ClusterNode,
  cutAndMend,
  cutOff,
  letIn,
  startCluster,
  type TestCluster,
} from "./nodes.ts";

const NODES = 3;
const CLIENTS = 60;
const PUBLISHERS = 4;
/** So many events are accepted between one fault and the next. */
const BETWEEN = 25;
const END = { topic: "end", data: '"end"' };

export function endToEndCases(start: () => Promise<Broker>): void {
  it(
    `every client gets every event once and in order, whatever fails meanwhile (seed ${seed})`,
    async () => {
      const cluster = await startCluster(await start());
      onTestFinished(() => cluster.dispose());
      const world = new ClusterWorld(cluster, await cluster.add(NODES), randomFrom(seed));
      const reading = Array.from({ length: CLIENTS }, (_, client) => world.read(client));
      const publishing = Array.from({ length: PUBLISHERS }, (_, lane) => world.publishAll(lane));
      for (let round = 0; round < scale; round++) await world.suffer();
      world.isOver = true;
      await Promise.all(publishing);
      await world.publishEnd();
      const faults = (await Promise.all(reading)).flatMap((received, client) =>
        world.account.faultsOf(received).map((fault) => `client ${client}: ${fault}`),
      );
      expect(faults).toEqual([]);
      expect(world.account.size).toBeGreaterThan(BETWEEN * 7);
      expect(world.connections).toBeGreaterThan(CLIENTS * 3);
    },
    240_000 * scale,
  );
}

class ClusterWorld {
  readonly account = new Account();
  connections = 0;
  isOver = false;
  readonly #cluster: TestCluster;
  readonly #nodes: ClusterNode[];
  readonly #random: () => number;

  constructor(cluster: TestCluster, nodes: ClusterNode[], random: () => number) {
    this.#cluster = cluster;
    this.#nodes = nodes;
    this.#random = random;
  }

  /** One fault after the other, in an order of chance, with some time to work in between. */
  async suffer(): Promise<void> {
    const { broker } = this.#cluster;
    const faults: [string, () => Promise<void>][] = [
      ["a node is killed", () => this.#replace((node) => node.kill())],
      ["a node is drained", () => this.#replace((node) => node.drain(200).then(() => node.kill()))],
      ["the broker is killed", () => broker.kill().then(() => broker.start())],
      ["the broker is paused", () => this.#meanwhile(800, broker.pause, broker.resume)],
      ["a node is cut off", () => this.#withNode(500, cutOff, letIn)],
      [
        "a node's replies are lost",
        () => this.#withNode(300, ({ network }) => network.stallReplies(), cutAndMend),
      ],
    ];
    for (const [what, happen] of shuffled(faults, this.#random)) {
      await this.#untilAccepted(BETWEEN, what);
      await happen();
    }
    await this.#untilAccepted(BETWEEN, "the end");
  }

  /** Publishes to topics by chance through nodes by chance; what fails is done again, perhaps elsewhere. */
  async publishAll(lane: number): Promise<void> {
    for (let n = 0; !this.isOver; n++) {
      const topic = TOPICS[Math.floor(this.#random() * TOPICS.length)] as string;
      const data = { lane, n, text: "é".repeat(Math.floor(this.#random() * 60)) };
      await this.#publish(topic, data, `p${lane}:${n}`);
      await sleep(this.#random() * 15);
    }
  }

  async publishEnd(): Promise<void> {
    await this.#publish(END.topic, "end", "end");
    this.account.close();
  }

  /** A client that is cut off after some bytes, and comes back to any node. Resolves with all that it got. */
  async read(client: number): Promise<Received> {
    const grants = [...topicsOf(client), { topic: END.topic }];
    const path = eventsAt(
      grants.map(({ topic }) => topic),
      "start",
    );
    const whole = Object.assign(new Received(grants), { opened: formatPosition(1, 0) });
    const isDone = (): boolean => whole.events.at(-1)?.data === END.data;
    while (!isDone()) {
      const cutAfter = 500 + this.#random() * 6000;
      const part = new Received(grants, whole.lastId);
      part.take = (event) => {
        Received.prototype.take.call(part, event);
        whole.take(event);
      };
      const reset = this.#random() < 0.5;
      const status = await readRaw({ port: this.#anyNode().port, path, cutAfter, reset, isDone }, part);
      if (status === 200) this.connections++;
      // A node that is not there, or can't open a stream now, is left alone for a moment.
      else await sleep(20 + this.#random() * 30);
    }
    return whole;
  }

  async #publish(topic: string, data: unknown, name: string): Promise<void> {
    for (;;) {
      const { id } = await this.#anyNode()
        .publish(topic, data, name)
        .catch(() => ({ id: undefined }));
      if (id !== undefined) return this.account.add(topic, id, JSON.stringify(data));
      await sleep(10 + this.#random() * 20);
    }
  }

  async #untilAccepted(count: number, what: string): Promise<void> {
    const wanted = this.account.size + count;
    await expect
      .poll(() => this.account.size, { timeout: PATIENCE_MS, message: `nothing is accepted before ${what}` })
      .toBeGreaterThanOrEqual(wanted);
  }

  /** Ends a node, and puts another one in its place. */
  async #replace(end: (node: ClusterNode) => Promise<void>): Promise<void> {
    const at = Math.floor(this.#random() * this.#nodes.length);
    await end(this.#nodes[at] as ClusterNode);
    [this.#nodes[at]] = (await this.#cluster.add(1)) as [ClusterNode];
  }

  async #meanwhile(ms: number, begin: () => void, end: () => void): Promise<void> {
    begin();
    await sleep(ms);
    end();
  }

  async #withNode(
    ms: number,
    begin: (node: ClusterNode) => void,
    end: (node: ClusterNode) => void,
  ): Promise<void> {
    const node = this.#anyNode();
    await this.#meanwhile(
      ms,
      () => begin(node),
      () => end(node),
    );
  }

  #anyNode(): ClusterNode {
    return this.#nodes[Math.floor(this.#random() * this.#nodes.length)] as ClusterNode;
  }
}

function shuffled<T>(values: readonly T[], random: () => number): T[] {
  const order = values.map((value) => ({ value, at: random() }));
  return order.sort((a, b) => a.at - b.at).map(({ value }) => value);
}
