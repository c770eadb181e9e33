// A server program that a test starts, and does to it what befalls servers.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";

/** How long a server may take until it listens, on a machine that has other work. */
const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 2000;
/** Ports that systems give to nobody by themselves, nor those 10,000 above them, which Redis Cluster takes as well. */
const FIRST_PORT = 10_000;
const PORTS = 12_000;
const PORTS_TRIED = 100;
const STARTS_TRIED = 5;

export interface BrokerChild {
  readonly child: ChildProcess;
  /** What it has printed. */
  output(): string;
  /** Ends it at once, as a crash does. */
  kill(): Promise<void>;
  /** Ends it in good order. */
  stop(): Promise<void>;
  /** Stops it in the middle of whatever it does; its sockets stay open. */
  pause(): void;
  resume(): void;
}

const children = new Set<ChildProcess>();
process.once("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

/** Starts a program, and resolves when `isReady` says so of what it has printed. */
export async function startChild(
  program: string,
  args: readonly string[],
  isReady: (output: string) => boolean,
): Promise<BrokerChild> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  children.add(child);
  let isEnding = false;
  const exited = new Promise<void>((resolve) => {
    child.once("close", () => {
      children.delete(child);
      // A server that fails in the middle of a test explains what the test then sees.
      if (!isEnding) process.stderr.write(`${program} has ended by itself:\n${output.slice(-8000)}\n`);
      resolve();
    });
  });
  let output = "";
  await new Promise<void>((resolve, reject) => {
    const fail = (why: string): void => reject(new Error(`${program} ${why}:\n${output}`));
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      fail("did not start in time");
    }, START_LIMIT_MS);
    const take = (chunk: Buffer): void => {
      // A server that runs for long may print much: what matters is how it began and how it ended.
      output = output.length > 100_000 ? output.slice(-50_000) + String(chunk) : output + String(chunk);
      if (!isReady(output)) return;
      clearTimeout(timer);
      resolve();
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    child.once("error", (error) => {
      clearTimeout(timer);
      reject(error);
    });
    void exited.then(() => {
      clearTimeout(timer);
      fail("ended");
    });
  });
  const end = (signal: NodeJS.Signals): Promise<void> => {
    isEnding = true;
    // One that is paused takes no other signal.
    child.kill("SIGCONT");
    child.kill(signal);
    return exited;
  };
  return {
    child,
    output: () => output,
    kill: () => end("SIGKILL"),
    stop: () => end("SIGTERM"),
    pause() {
      child.kill("SIGSTOP");
      untilStopped(child.pid as number);
    },
    resume: () => void child.kill("SIGCONT"),
  };
}

/** The signal is on its way to each thread for a moment, in which a server may still take what is sent after it (seen on Linux). */
function untilStopped(pid: number): void {
  const threads = `/proc/${pid}/task`;
  if (!existsSync(threads)) return;
  for (const until = Date.now() + STOP_LIMIT_MS; Date.now() < until; ) {
    const states = readdirSync(threads).map((thread) => readFileSync(`${threads}/${thread}/stat`, "latin1"));
    if (states.every((state) => state.includes(") T "))) return;
  }
}

/**
 * A port that nobody listens on at the moment. It is none of those that the system gives to whoever asks for any, as each
 * connection that goes out does: a server that is started again would find such a one taken, be it by a client that looks for it.
 */
export async function freePort(): Promise<number> {
  for (let left = PORTS_TRIED; left > 0; left--) {
    const port = FIRST_PORT + Math.floor(Math.random() * PORTS);
    if (await isFree(port)) return port;
  }
  throw new Error(`No port is free from ${FIRST_PORT} on.`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    await once(server.listen(port, "127.0.0.1"), "listening");
  } catch {
    return false;
  }
  server.close();
  await once(server, "close");
  return true;
}

/** Starts a server on a free port, and on another one where somebody else has that in the moment after it was found. */
export async function onFreePort<Server>(start: (port: number) => Promise<Server>): Promise<Server> {
  for (let left = STARTS_TRIED - 1; ; left--) {
    try {
      return await start(await freePort());
    } catch (error) {
      if (left === 0 || !/address already in use/i.test(String(error))) throw error;
    }
  }
}
