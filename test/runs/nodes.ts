import {
  createHub,
  createRuns,
  type EventLog,
  type Hub,
  memoryLog,
  type Runs,
  type RunsOptions,
} from "everstream";
import { TestClient } from "../hub/client.ts";

/** One server of a log: a hub and its runs. */
export interface TestNode {
  readonly hub: Hub;
  readonly runs: Runs;
  /** Ends it as a SIGKILL does: nothing more is written, nothing renewed, nobody told. */
  crash(): Promise<void>;
}

/** For clusters whose processes die, and may be taken for dead: what takes a lease is seen soon. */
export const LEASE_MS = 300;
/** The same where a sign of life goes by way of a server, which may have to wait for its turn. */
export const REMOTE_LEASE_MS = 1000;
/** For all others: nobody is taken for dead whom a busy machine holds up. */
const LONG_LEASE_MS = 60_000;

let newLog: () => EventLog = memoryLog;
let leaseMs = LEASE_MS;

/**
 * Has clusters stand on other logs than those in memory: for suites that run on several. `lease` is what they have where nobody
 * may lose it who lives.
 */
export function standOn(create: () => EventLog, lease: number): void {
  newLog = create;
  leaseMs = lease;
}

/** For clusters of which some processes die, and others are not to be taken for dead. */
export function shortLease(): number {
  return leaseMs;
}

/** Servers on one log. */
export class Cluster {
  readonly log: EventLog;
  readonly nodes: TestNode[] = [];
  readonly #lease: number;

  constructor(log: EventLog = newLog(), lease = LONG_LEASE_MS) {
    this.log = log;
    this.#lease = lease;
  }

  node(options: Partial<RunsOptions> = {}, log: EventLog = this.log): TestNode {
    const hub = options.hub ?? createHub({ log });
    const runs = createRuns({ lease: this.#lease, joinWait: 500, ...options, hub });
    const node = { hub, runs, crash: () => hub.close() };
    this.nodes.push(node);
    return node;
  }

  async close(): Promise<void> {
    for (const { runs, hub } of this.nodes) {
      await runs.close();
      await hub.close();
    }
  }
}

/** A client that reads a run over the session itself. */
export async function join(
  { runs }: Pick<TestNode, "runs">,
  id: string,
  { lastEventId, ...options }: { lastEventId?: string | undefined; key?: string } = {},
): Promise<TestClient> {
  const header = (name: string) => (name === "last-event-id" ? lastEventId : undefined);
  const opening = await runs.open({ method: "GET", url: "/", header }, id, options);
  if (opening.kind !== "stream") throw new Error(`The runs answered with ${opening.status}.`);
  return new TestClient(opening.session).attach();
}

/** The status of an answer that is no stream. */
export async function statusOf(
  { runs }: Pick<TestNode, "runs">,
  id: string,
  lastEventId?: string,
): Promise<number> {
  const header = (name: string) => (name === "last-event-id" ? lastEventId : undefined);
  const opening = await runs.open({ method: "GET", url: "/", header }, id);
  if (opening.kind === "response") return opening.status;
  opening.session.end("disconnected", { destroy: true });
  return 200;
}

/** The text that a client has got. */
export function textOf({ events }: TestClient): string {
  return events
    .filter(({ event }) => event === "token")
    .map(({ data }) => (JSON.parse(data) as { content: string }).content)
    .join("");
}

/** The run's endings that a client has got. */
export function endingsOf({ events }: TestClient): { type: string; data: Record<string, unknown> }[] {
  return events
    .filter(({ event }) => event === "done" || event === "error")
    .map(({ event, data }) => ({ type: event, data: JSON.parse(data) }));
}

/** Resolves once the stream has been ended in good order. */
export function ended(client: TestClient): Promise<void> {
  return client.until(({ session }) => session.closed);
}

/** A promise to be settled by hand. */
export function gate(): { readonly promise: Promise<void>; open(): void } {
  let open: () => void = () => undefined;
  const promise = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { promise, open: () => open() };
}

/** Resolves when the signal is aborted. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener("abort", () => resolve(), { once: true }));
}

/** A hub some of whose methods are the test's. */
export function hubWith(hub: Hub, changes: Partial<Hub>): Hub {
  return new Proxy(hub, {
    get(target, name) {
      if (name in changes) return Reflect.get(changes, name);
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** What the hub publishes, with something before and after it. */
export function publishing(
  hub: Hub,
  { before, after }: { before?(topic: string): Promise<void>; after?(): void },
): Hub["publish"] {
  const publish = hub.publish.bind(hub) as (...args: unknown[]) => Promise<string>;
  return (async (topic: string, ...rest: unknown[]) => {
    await before?.(topic);
    const position = await publish(topic, ...rest);
    after?.();
    return position;
  }) as Hub["publish"];
}

/** A hub that publishes to one topic only when the test lets it. `arrived` resolves when somebody wants to. */
export function hubHeldAt(
  topic: string,
  hub: Hub,
): { readonly hub: Hub; readonly arrived: Promise<void>; open(): void } {
  const [arrival, passage] = [gate(), gate()];
  const publish = publishing(hub, {
    before: async (to) => {
      if (to !== topic) return;
      arrival.open();
      await passage.promise;
    },
  });
  return { hub: hubWith(hub, { publish }), arrived: arrival.promise, open: () => passage.open() };
}
