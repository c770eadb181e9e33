// Whatever happens in whatever order, a reader has a prefix of the text, and in the end all of it and one ending.

import type { Produce, Run } from "everstream";
import fc from "fast-check";
import { expect, it, vi } from "vitest";
import type { TestClient } from "../hub/client.ts";
import { Cluster, ended, endingsOf, join, statusOf, type TestNode, textOf } from "./nodes.ts";

type Step =
  | { readonly do: "write"; readonly pieces: number }
  | { readonly do: "send" }
  | { readonly do: "progress" }
  | { readonly do: "pause"; readonly turns: number }
  | { readonly do: "join"; readonly node: number }
  | { readonly do: "leave" }
  | { readonly do: "stop"; readonly node: number }
  | { readonly do: "start"; readonly node: number }
  | { readonly do: "crash" }
  | { readonly do: "trim" }
  | { readonly do: "finish" };

const NODES = 3;
const KEEP_FOR_MS = 3_600_000;
const nodeIndex = fc.nat(NODES - 1);
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant("write" as const), pieces: fc.integer({ min: 1, max: 40 }) }),
  },
  { weight: 2, arbitrary: fc.constant({ do: "send" as const }) },
  { weight: 2, arbitrary: fc.constant({ do: "progress" as const }) },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant("pause" as const), turns: fc.integer({ min: 1, max: 60 }) }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant("join" as const), node: nodeIndex }) },
  { weight: 2, arbitrary: fc.constant({ do: "leave" as const }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("stop" as const), node: nodeIndex }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("start" as const), node: nodeIndex }) },
  { weight: 1, arbitrary: fc.constant({ do: "crash" as const }) },
  { weight: 1, arbitrary: fc.constant({ do: "trim" as const }) },
  { weight: 1, arbitrary: fc.constant({ do: "finish" as const }) },
);

/** The n-th piece of the text that every producer writes, so that any text is right or wrong by itself. */
const piece = (index: number): string => `${index.toString(36)}–`;

function isPrefix(text: string): boolean {
  let left = text;
  for (let index = 0; left !== ""; index++) {
    if (!left.startsWith(piece(index))) return false;
    left = left.slice(piece(index).length);
  }
  return true;
}

const countOf = (text: string): number => text.split("–").length - 1;

/** What a client has, over all of its connections. */
class Reader {
  text = "";
  endings = 0;
  lastEventId: string | undefined;
  client: TestClient | undefined;
  readonly #id: string;

  constructor(id: string) {
    this.#id = id;
  }

  async connect(node: TestNode): Promise<void> {
    this.client = await join(node, this.#id, { lastEventId: this.lastEventId });
  }

  /** Takes what has come, and goes. */
  leave(): void {
    const { client } = this;
    if (client === undefined) return;
    this.client = undefined;
    client.leave();
    this.#take(client);
  }

  async finish(): Promise<void> {
    const { client } = this;
    if (client === undefined) return;
    await ended(client);
    this.client = undefined;
    this.#take(client);
  }

  #take(client: TestClient): void {
    expect(client.gaps).toEqual([]);
    this.text += textOf(client);
    this.endings += endingsOf(client).length;
    this.lastEventId = client.lastEventId || this.lastEventId;
    expect(isPrefix(this.text)).toBe(true);
    expect(this.endings).toBeLessThanOrEqual(1);
  }
}

/** One interleaving: three nodes on one log, readers that come and go, and a producer that is told what to do. */
class World {
  readonly cluster = new Cluster();
  readonly readers: Reader[] = [];
  readonly nodes: TestNode[];
  readonly #producers: { run: Run; written: number; finish: () => void }[] = [];
  #crashes = 0;

  constructor(takesOver: boolean) {
    const onAbandoned = (_: unknown, text: string): Produce => this.#producer(countOf(text));
    this.nodes = Array.from({ length: NODES }, () =>
      this.cluster.node({ keepFor: KEEP_FOR_MS, ...(takesOver && { onAbandoned }) }),
    );
  }

  async begin(): Promise<void> {
    await this.#start(0);
  }

  async take(todo: Step): Promise<void> {
    const producer = this.#producers.at(-1);
    switch (todo.do) {
      case "write":
        for (let left = todo.pieces; left > 0 && producer !== undefined; left--) {
          void producer.run.text(piece(producer.written++));
        }
        return;
      case "send":
        void producer?.run.send("other", { n: 1 });
        return;
      case "progress":
        producer?.run.progress(0.5);
        return;
      case "pause":
        for (let left = todo.turns; left > 0; left--) await new Promise((resolve) => setImmediate(resolve));
        return;
      case "join": {
        const reader = new Reader("a");
        this.readers.push(reader);
        await reader.connect(this.#node(todo.node));
        return;
      }
      case "leave": {
        const reader = this.readers.find(({ client }) => client !== undefined);
        reader?.leave();
        if (reader?.endings === 0) await reader.connect(this.#node(0));
        return;
      }
      case "stop":
        return this.#node(todo.node).runs.stop("a");
      case "start":
        return this.#start(todo.node);
      case "crash":
        return this.#crash();
      case "trim":
        // Nothing of a run may go before `keepFor` after its end.
        await this.#expire(KEEP_FOR_MS / 2);
        return;
      case "finish":
        producer?.finish();
        return;
    }
  }

  /** Lets it come to its end, and looks at everything that anybody has. */
  async end(): Promise<void> {
    for (const { finish } of this.#producers) finish();
    const node = this.#node(0);
    await vi.waitFor(
      async () => {
        for (const { finish } of this.#producers) finish();
        expect((await node.runs.get("a"))?.state).not.toBe("running");
      },
      { timeout: 10_000, interval: 20 },
    );
    const whole = await join(node, "a");
    await ended(whole);
    const text = textOf(whole);
    expect(isPrefix(text)).toBe(true);
    expect(endingsOf(whole)).toHaveLength(1);
    for (const reader of this.readers) {
      await reader.finish();
      if (reader.endings === 0) {
        await reader.connect(node);
        await reader.finish();
      }
      expect(reader.text).toBe(text);
      expect(reader.endings).toBe(1);
    }
    await this.#expire(KEEP_FOR_MS * 3);
    expect(await statusOf(node, "a")).toBe(410);
    expect(await statusOf(node, "a", whole.lastEventId)).toBe(410);
    await this.cluster.close();
  }

  /** Has the log let go of what will be over its age in so long. */
  async #expire(inMs: number): Promise<void> {
    const feed = { onEntries: () => undefined, onEpoch: () => undefined };
    const connection = await this.cluster.log.open(feed);
    await connection.expire(Date.now() + inMs);
    await connection.close();
  }

  #node(index: number): TestNode {
    return this.nodes[index % this.nodes.length] as TestNode;
  }

  async #start(index: number): Promise<void> {
    await this.#node(index).runs.start({ id: "a", produce: this.#producer(0) });
  }

  #producer(written: number): Produce {
    return (run) =>
      new Promise<void>((resolve) => {
        this.#producers.push({ run, written, finish: resolve });
      });
  }

  /** The node that has the run dies; its readers come back at another one. */
  async #crash(): Promise<void> {
    if (++this.#crashes >= NODES) return;
    const crashed = this.nodes.shift() as TestNode;
    for (const reader of this.readers) {
      if (reader.client === undefined) continue;
      reader.leave();
      if (reader.endings === 0) await reader.connect(this.#node(0));
    }
    await crashed.crash();
  }
}

it.each([
  ["where nobody takes over", false],
  ["where another node takes over", true],
])(
  "any interleaving of start, write, stop, crash, join and trim leaves every reader with an exact text and one ending, %s",
  async (_, takesOver) => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 40 }), async (steps) => {
        const world = new World(takesOver);
        await world.begin();
        for (const todo of steps) await world.take(todo);
        await world.end();
      }),
      { numRuns: 60, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: false },
    );
  },
  120_000,
);
