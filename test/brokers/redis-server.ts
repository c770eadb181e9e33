// A redis-server of the tests' own: on a free port of the loopback, with a data folder of its own, and every write on disk
// before its reply.
import { type BrokerChild, onFreePort, startChild } from "./child.ts";
import { dataFolder } from "./folder.ts";

export interface RedisServer extends Omit<BrokerChild, "child" | "output"> {
  readonly port: number;
  readonly url: string;
  readonly folder: string;
  output(): string;
  /** Starts it again, on the same port and the same data, after it was ended. */
  start(): Promise<void>;
  /** Ends it and removes its data. */
  dispose(): Promise<void>;
}

const PROGRAM = process.env.REDIS_SERVER_PATH ?? "redis-server";

/** `args` come after the usual ones, and so override them: `["--appendonly", "no"]`. */
export function startRedis(args: readonly string[] = []): Promise<RedisServer> {
  return onFreePort((port) => startOn(port, args));
}

async function startOn(port: number, args: readonly string[]): Promise<RedisServer> {
  const { path: folder, remove } = await dataFolder("redis");
  const usual = [
    ["--port", String(port)],
    ["--bind", "127.0.0.1"],
    ["--dir", folder],
    ["--save", ""],
    ["--appendonly", "yes"],
    ["--appendfsync", "always"],
    ["--repl-diskless-sync-delay", "0"],
  ].flat();
  const start = (): Promise<BrokerChild> =>
    startChild(PROGRAM, [...usual, ...args], (output) => output.includes("Ready to accept connections"));
  let running = await start().catch(async (error: unknown) => {
    await remove();
    throw error;
  });
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
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
