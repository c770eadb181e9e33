// Logs on a nats-server that a suite has for itself: each test has a stream of its own.
import { type NatsLogOptions, natsLog } from "everstream/nats";
import { afterAll, beforeAll } from "vitest";
import { type NatsServer, startNats } from "../brokers/nats-server.ts";
import type { LogFixture } from "../logs/contract.ts";

/** How long anything may take where no test is about time. */
export const PATIENCE_MS = 30_000;

let streams = 0;

export function freshName(): string {
  return `hub-${process.pid}-${++streams}`;
}

/** A server for all tests of a file. */
export function natsForTests(options?: Parameters<typeof startNats>[0]): { readonly server: NatsServer } {
  let server: NatsServer | undefined;
  beforeAll(async () => {
    server = await startNats(options);
  });
  afterAll(() => server?.dispose());
  return {
    get server() {
      if (server === undefined) throw new Error("no server yet");
      return server;
    },
  };
}

export function natsFixture(nats: { readonly server: NatsServer }, options: NatsLogOptions = {}) {
  return async (): Promise<LogFixture> => {
    const all = { servers: nats.server.url, name: freshName(), timeout: PATIENCE_MS, ...options };
    return {
      log: natsLog(all),
      restart: async () => natsLog(all),
      dispose: async () => undefined,
    };
  };
}
