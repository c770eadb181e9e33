// A nats-server of the tests' own, with JetStream: on a free port of the loopback, with a data folder of its own.
import { type BrokerChild, freePort, startChild } from "./child.ts";
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

/** `jetstream: false` for a server without it; `args` come after the usual ones. */
export async function startNats({
  jetstream = true,
  args = [],
}: {
  jetstream?: boolean;
  args?: readonly string[];
} = {}): Promise<NatsServer> {
  const port = await freePort();
  const { path: folder, remove } = await dataFolder("nats");
  const usual = ["--addr", "127.0.0.1", "--port", String(port)];
  if (jetstream) usual.push("--jetstream", "--store_dir", folder);
  const start = (): Promise<BrokerChild> =>
    startChild(PROGRAM, [...usual, ...args], (output) => output.includes("Server is ready"));
  let running = await start();
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
