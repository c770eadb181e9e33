// A nats-server of the tests' own, with JetStream: on a free port of the loopback, with a data folder of its own.
import { type BrokerChild, onFreePort, startChild } from "./child.ts";
import { dataFolder } from "./folder.ts";

export interface NatsServer extends Omit<BrokerChild, "child" | "output"> {
  readonly port: number;
  readonly url: string;
  readonly folder: string;
  output(): string;
  /** Starts it again, on the same port and the same data, after it was ended. */
  start(): Promise<void>;
  /** Ends it and removes its data. */
  dispose(): Promise<void>;
}

const PROGRAM = process.env.NATS_SERVER_PATH ?? "nats-server";

export interface NatsOptions {
  /** Default: true. */
  readonly jetstream?: boolean;
  /** Come after the usual ones. */
  readonly args?: readonly string[];
}

export function startNats(options: NatsOptions = {}): Promise<NatsServer> {
  return onFreePort((port) => startOn(port, options));
}

async function startOn(port: number, { jetstream = true, args = [] }: NatsOptions): Promise<NatsServer> {
  const { path: folder, remove } = await dataFolder("nats");
  const usual = ["--addr", "127.0.0.1", "--port", String(port)];
  if (jetstream) usual.push("--jetstream", "--store_dir", folder);
  const start = (): Promise<BrokerChild> =>
    startChild(PROGRAM, [...usual, ...args], (output) => output.includes("Server is ready"));
  let running = await start().catch(async (error: unknown) => {
    await remove();
    throw error;
  });
  return {
    port,
    url: `nats://127.0.0.1:${port}`,
    folder,
    output: () => running.output(),
    kill: () => running.kill(),
    stop: () => running.stop(),
    pause: () => running.pause(),
    resume: () => running.resume(),
    async start() {
      running = await start();
    },
    async dispose() {
      await running.kill();
      await remove();
    },
  };
}
