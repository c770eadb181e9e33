// Whatever happens in whatever order, a reader has a prefix of the text, and in the end all of it and one ending.

import type { Produce, Run } from "everstream";
import fc from "fast-check";
import { expect, it, vi } from "vitest";
import type { TestClient } from "../hub/client.ts";
import { remoteLog } from "../hub/remote-log.ts";
import { Cluster, ended, endingsOf, gate, join, LEASE_MS, statusOf, type TestNode, textOf } from "./nodes.ts";

type Step =
  | { readonly do: "write"; readonly pieces: number }
  | { readonly do: "send" }
  | { readonly do: "progress" }
  | { readonly do: "pause"; readonly turns: number }
  | { readonly do: "join"; readonly node: number }
  | { readonly do: "leave" }
  | { readonly do: "stop"; readonly node: number }
  | { readonly do: "start"; readonly node: number }
  | { readonly do: "crash"; readonly node: number }
  | { readonly do: "restart" }
  | { readonly do: "freeze"; readonly pieces: number }
  | { readonly do: "thaw" }
  | { readonly do: "outlast" }
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
  { weight: 1, arbitrary: fc.record({ do: fc.constant("crash" as const), node: nodeIndex }) },
  { weight: 1, arbitrary: fc.constant({ do: "restart" as const }) },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant("freeze" as const), pieces: fc.integer({ min: 1, max: 40 }) }),
  },
  { weight: 1, arbitrary: fc.constant({ do: "thaw" as const }) },
  { weight: 2, arbitrary: fc.constant({ do: "outlast" as const }) },
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

/** A server that can be frozen: nothing that it appends arrives until it thaws, and nobody asks it for anything. */
interface Server extends TestNode {
  frozen: ReturnType<typeof gate> | undefined;
}

/** What a client has, over all of its connections. */
class Reader {
  text = "";
  endings = 0;
  server: Server | undefined;
  lastEventId: string | undefined;
  client: TestClient | undefined;
  readonly #id: string;

  constructor(id: string) {
    this.#id = id;
  }

  async connect(node: Server): Promise<void> {
    this.server = node;
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

/** One interleaving: up to three nodes on one log, readers that come and go, and a producer that is told what to do. */
class World {
  readonly cluster = new Cluster(undefined, LEASE_MS);
  readonly readers: Reader[] = [];
  readonly nodes: Server[];
  readonly #takesOver: boolean;
  #someAreSilent = false;
  readonly #producers: { run: Run; written: number; server: Server; finish: () => void }[] = [];

  constructor(takesOver: boolean) {
    this.#takesOver = takesOver;
    this.nodes = Array.from({ length: NODES }, () => this.#boot());
  }

  async begin(stopsFirst: boolean): Promise<void> {
    if (stopsFirst) await this.#node(1).runs.stop("a");
    await this.#start(0);
  }

  async take(todo: Step): Promise<void> {
    const producer = this.#producers.at(-1);
    switch (todo.do) {
      case "write":
        return this.#write(todo.pieces);
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
        return this.#crash(todo.node);
      case "restart":
        if (this.nodes.length < NODES) this.nodes.push(this.#boot());
        return;
      case "freeze":
        // In the middle of its writing. One must be left that can be asked.
        if (this.#awake.length < 2 || producer === undefined || producer.server.frozen) return;
        producer.server.frozen = gate();
        this.#someAreSilent = true;
        return this.#write(todo.pieces);
      case "thaw":
        return this.#thaw();
      case "outlast":
        // Who is silent loses its lease, and thaws, as it may be, when another one has its run.
        if (this.#someAreSilent) await new Promise((resolve) => setTimeout(resolve, LEASE_MS * 1.7));
        this.#someAreSilent = false;
        return;
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
    this.#thaw();
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

  #boot(): Server {
    const log = remoteLog(this.cluster.log, {
      onCall: (call, moment) =>
        call === "append" && moment === "before" ? server.frozen?.promise : undefined,
    });
    const onAbandoned = (_: unknown, text: string): Produce => this.#producer(countOf(text), () => server);
    const options = { keepFor: KEEP_FOR_MS, ...(this.#takesOver && { onAbandoned }) };
    const server: Server = { ...this.cluster.node(options, log), frozen: undefined };
    return server;
  }

  #thaw(): void {
    for (const node of this.nodes) {
      node.frozen?.open();
      node.frozen = undefined;
    }
  }

  get #awake(): Server[] {
    return this.nodes.filter(({ frozen }) => frozen === undefined);
  }

  /** One of those that can be asked. */
  #node(index: number): Server {
    const awake = this.#awake;
    return awake[index % awake.length] as Server;
  }

  #write(pieces: number): void {
    const producer = this.#producers.at(-1);
    for (let left = pieces; left > 0 && producer !== undefined; left--) {
      void producer.run.text(piece(producer.written++));
    }
  }

  async #start(index: number): Promise<void> {
    const server = this.#node(index);
    await server.runs.start({ id: "a", produce: this.#producer(0, () => server) });
  }

  #producer(written: number, server: () => Server): Produce {
    return (run) =>
      new Promise<void>((resolve) => {
        this.#producers.push({ run, written, server: server(), finish: resolve });
      });
  }

  /** A node dies, with the run or without it; its readers come back at another one. */
  async #crash(index: number): Promise<void> {
    if (this.#awake.length < 2) return;
    const crashed = this.#node(index);
    this.nodes.splice(this.nodes.indexOf(crashed), 1);
    for (const reader of this.readers) {
      if (reader.client === undefined || reader.server !== crashed) continue;
      reader.leave();
      if (reader.endings === 0) await reader.connect(this.#node(0));
    }
    await crashed.crash();
    this.#someAreSilent = true;
  }
}

// Most of it is waiting for leases to be over, so that both may wait at once.
it.concurrent.each([
  ["where nobody takes over", false],
  ["where another node takes over", true],
])(
  "any interleaving of start, write, stop, crash, join and trim leaves every reader with an exact text and one ending, %s",
  async (_, takesOver) => {
    await fc.assert(
      fc.asyncProperty(
        fc.nat(9),
        fc.array(step, { minLength: 1, maxLength: 40 }),
        async (stopsFirst, steps) => {
          const world = new World(takesOver);
          await world.begin(stopsFirst === 0);
          for (const todo of steps) await world.take(todo);
          await world.end();
        },
      ),
      { numRuns: 150, interruptAfterTimeLimit: 60_000, markInterruptAsFailure: false },
    );
  },
  120_000,
);
