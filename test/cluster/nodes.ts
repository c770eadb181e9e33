// Nodes of a cluster on a broker that the test starts, each in a process of its own and behind a network of its own.
import { randomUUID } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { type RawResponse, rawRequest } from "everstream/testing";
import { rolldown } from "rolldown";
import { type BrokerChild, startChild } from "../brokers/child.ts";
import { type TcpProxy, tcpProxy } from "../brokers/tcp-proxy.ts";
import { root } from "../setup/repository.ts";
import { type NodeStart, READY, type RunInput } from "./scheme.ts";

/** A broker of the tests. */
export interface Broker extends Omit<BrokerChild, "child" | "output"> {
  readonly port: number;
  readonly url: string;
  start(): Promise<void>;
  dispose(): Promise<void>;
}

/** What a node answers to a publish: the event's id, or the code of what failed. */
export interface Published {
  readonly id?: string;
  readonly code?: string;
}

export interface ClusterNode {
  readonly port: number;
  /** Between this node and the broker. */
  readonly network: TcpProxy;
  publish(topic: string, data: unknown, publishId?: string): Promise<Published>;
  /** Opens a stream, after the last event that the client has. */
  open(path: string, lastEventId?: string): Promise<RawResponse>;
  /** Starts a run: `/runs/a`. Resolves to what is known of it. */
  startRun(path: string, input: RunInput): Promise<{ id: string; state: string }>;
  request(path: string, init?: RequestInit): Promise<Response>;
  /** Ends its streams in good order. */
  drain(withinMs: number): Promise<void>;
  /** Ends it as a crash does. */
  kill(): Promise<void>;
  /** Stops it in the middle of whatever it does, until it is resumed. */
  pause(): void;
  resume(): void;
}

/** One hub's cluster on a broker. */
export interface TestCluster {
  readonly broker: Broker;
  /** Starts so many more nodes. */
  add(count: number): Promise<ClusterNode[]>;
  dispose(): Promise<void>;
}

export async function startCluster(broker: Broker): Promise<TestCluster> {
  const worker = await bundleWorker();
  const name = `cluster-${randomUUID()}`;
  const ends: (() => Promise<unknown>)[] = [];
  const addOne = async (): Promise<ClusterNode> => {
    const network = await tcpProxy(broker.port);
    ends.push(() => network.close());
    const url = broker.url.replace(`:${broker.port}`, `:${network.port}`);
    const start: NodeStart = { url, name };
    const child = await startChild(process.execPath, [worker, JSON.stringify(start)], (output) =>
      new RegExp(`${READY} \\d+\n`).test(output),
    );
    ends.push(() => child.kill());
    return nodeOf(child, network);
  };
  return {
    broker,
    add: (count) => Promise.all(Array.from({ length: count }, addOne)),
    dispose: async () => {
      await Promise.all(ends.reverse().map((end) => end()));
      await broker.dispose();
      await rm(worker, { force: true });
    },
  };
}

/** Cuts a node off from the broker. */
export function cutOff({ network }: ClusterNode): void {
  network.refuses = true;
  network.cut();
}

/** Takes {@link cutOff} back. */
export function letIn({ network }: ClusterNode): void {
  network.refuses = false;
}

/** Lets a node's network work again, over new connections: what it held back is gone. */
export function cutAndMend({ network }: ClusterNode): void {
  network.cut();
  network.mend();
}

/** Loses the next push to a node that holds this text, and nothing else. Resolves once that is done. */
export function losePush({ network }: ClusterNode, text: string): Promise<void> {
  return new Promise((resolve) => {
    network.loses = (chunk) => {
      if (!chunk.includes(text)) return false;
      network.loses = undefined;
      resolve();
      return true;
    };
  });
}

function nodeOf(child: BrokerChild, network: TcpProxy): ClusterNode {
  const port = Number(new RegExp(`${READY} (\\d+)\n`).exec(child.output())?.[1]);
  const request = (path: string, init?: RequestInit): Promise<Response> =>
    fetch(`http://127.0.0.1:${port}${path}`, init);
  const post = async (path: string, body: unknown): Promise<unknown> => {
    const headers = { Accept: "application/json" };
    return (await request(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
  };
  return {
    port,
    network,
    request,
    publish: async (topic, data, publishId) => {
      const params = new URLSearchParams({ topic, ...(publishId !== undefined && { publishId }) });
      return (await post(`/publish?${params}`, data)) as Published;
    },
    open: (path, lastEventId) => {
      const headers: Record<string, string> = { Accept: "text/event-stream" };
      if (lastEventId !== undefined) headers["Last-Event-ID"] = lastEventId;
      return rawRequest(port, path, { headers });
    },
    startRun: async (path, input) => (await post(path, input)) as { id: string; state: string },
    drain: async (withinMs) => {
      await request(`/drain?within=${withinMs}`, { method: "POST" });
    },
    kill: () => child.kill(),
    pause: () => child.pause(),
    resume: () => child.resume(),
  };
}

/** Makes one file of the worker and the sources; what is installed is found from its place, within the repository. */
async function bundleWorker(): Promise<string> {
  const folder = join(root, "artifacts/test/cluster");
  await mkdir(folder, { recursive: true });
  const file = join(folder, `worker-${process.pid}-${randomUUID()}.mjs`);
  const bundled = await rolldown({
    input: join(root, "test/cluster/worker.ts"),
    platform: "node",
    external: (id) => !/^(\.|\/|everstream(\/|$))/.test(id),
    tsconfig: join(root, "tsconfig.json"),
  });
  await bundled.write({ file, format: "esm", codeSplitting: false });
  await bundled.close();
  return file;
}
