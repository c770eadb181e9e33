import { createHub, createRuns, type Hub, memoryLog, type Run, type Runs } from "everstream";
import { serveForTest, type TestServer } from "everstream/testing";
import { expect } from "vitest";

/** A producer that waits for the test's word. */
export interface WaitingProducer {
  readonly run: Run;
  /** Lets it come to its end. */
  go(): void;
}

/** Runs behind their routes, on a real socket. What is started has `key` and the pieces of its `text` in its input. */
export interface RunServer {
  readonly url: string;
  readonly hub: Hub;
  readonly runs: Runs;
  /** The ids of the runs that were produced, in order. */
  readonly produced: readonly string[];
  /** Called with each request; may answer in the routes' place. */
  intercept: (request: Request) => Response | undefined | Promise<Response | undefined>;
  /** Resolves to the run's producer once it has begun. */
  producer(id: string): Promise<WaitingProducer>;
  close(): Promise<void>;
}

export async function startRunServer(): Promise<RunServer> {
  const hub = createHub({ log: memoryLog() });
  const runs = createRuns({ hub, joinWait: 5000 });
  const waiting = new Map<string, WaitingProducer>();
  const produced: string[] = [];
  const routes = runs.routes({
    start: async (request, id) => {
      const input = (await request.json()) as { key?: string; text?: string[] };
      return {
        key: input.key,
        input,
        produce: async (run) => {
          produced.push(id);
          const told = new Promise<void>((go) => waiting.set(id, { run, go }));
          for (const piece of input.text ?? []) await run.text(piece);
          await Promise.race([told, new Promise((end) => run.signal.addEventListener("abort", end))]);
          return { tokens: 3 };
        },
      };
    },
    authorize: (request) => request.headers.get("x-user") !== "stranger",
    join: { retry: 10 },
  });
  const served: TestServer = await serveForTest({
    fetch: async (request) => (await server.intercept(request)) ?? routes(request),
  });
  const server: RunServer = {
    url: `${served.url}/runs`,
    hub,
    runs,
    produced,
    intercept: () => undefined,
    async producer(id) {
      await expect.poll(() => waiting.get(id)).toBeDefined();
      return waiting.get(id) as WaitingProducer;
    },
    async close() {
      await runs.close();
      await hub.close();
      await served.close();
    },
  };
  return server;
}
