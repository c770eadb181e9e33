import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("../../scripts/start-cluster.js", import.meta.url));
const NODES = 3;
const START_LIMIT_MS = 60_000;

/** The built reference application on three nodes behind its balancer, as `npm run start:cluster` starts it. */
export interface BuiltCluster {
  readonly port: number;
  /** Ends a node, or `redis`, as a crash does; another process takes its place after a moment. */
  kill(name: string): void;
  /** How often a node, or `redis`, was started. */
  starts(name: string): number;
  /** Where its processes listen. */
  ports(): number[];
  /** Ends what has started them all, as a crash does. */
  killAll(): Promise<void>;
  /** Asks it to end; resolves to its exit code. */
  stop(): Promise<number | null>;
}

/**
 * @param log Where events live. Default: on a redis-server that the script starts.
 * @param more Of its environment: which provider answers, for one. By default it is the docs assistant.
 */
export async function startBuiltCluster(
  dataDir: string,
  log = "",
  more: Readonly<Record<string, string>> = {},
): Promise<BuiltCluster> {
  // Without a key of the developer's, nor a log: the tests must not talk to anything but what they start.
  const env = { ...process.env, PORT: "0", DATA_DIR: dataDir, OPENAI_API_KEY: "", LOG: log, ...more };
  const child = spawn(process.execPath, [SCRIPT], { env, stdio: ["ignore", "pipe", "inherit"] });
  const exit = once(child, "exit");
  let output = "";
  const startsOf = (name: string): { pid: number; port: number }[] => {
    const line =
      name === "redis"
        ? /^redis at redis:\/\/127\.0\.0\.1:(?<port>\d+), process (?<pid>\d+)$/gm
        : new RegExp(`^${name} is process (?<pid>\\d+), on port (?<port>\\d+)$`, "gm");
    return [...output.matchAll(line)].map(({ groups }) => ({
      pid: Number(groups?.pid),
      port: Number(groups?.port),
    }));
  };
  const port = await new Promise<number>((resolve, reject) => {
    const fail = (why: string): void => reject(new Error(`the cluster ${why}:\n${output}`));
    const timer = setTimeout(() => {
      child.kill();
      fail("did not start in time");
    }, START_LIMIT_MS);
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      const found = /^listening on http:\/\/localhost:(\d+)$/m.exec(output)?.[1];
      if (found === undefined) return;
      clearTimeout(timer);
      resolve(Number(found));
    });
    void exit.then(([code]) => fail(`ended with ${code}`));
  });
  return {
    port,
    kill: (name) => {
      process.kill(startsOf(name).at(-1)?.pid as number, "SIGKILL");
    },
    starts: (name) => startsOf(name).length,
    ports: () => [...NODE_NAMES, "redis"].flatMap((name) => startsOf(name).at(-1)?.port ?? []),
    killAll: async () => {
      child.kill("SIGKILL");
      await exit;
    },
    stop: async () => {
      child.kill("SIGTERM");
      const [code] = (await exit) as [number | null];
      return code;
    },
  };
}

/** The names of its nodes. */
export const NODE_NAMES: readonly string[] = Array.from({ length: NODES }, (_, at) => `node-${at + 1}`);
