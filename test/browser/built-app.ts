import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../demo/dist/server/main.js", import.meta.url));

/** The built reference application, in a process of its own. */
export interface BuiltApp {
  readonly port: number;
  /** Asks it to end with `signal`; resolves to its exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** @param more Of its environment: which provider answers, for one. By default it is the docs assistant. */
export async function startBuiltApp(
  dataDir: string,
  more: Readonly<Record<string, string>> = {},
): Promise<BuiltApp> {
  // Without a key of the developer's: the tests must not talk to a provider but their own.
  const env = { ...process.env, PORT: "0", DATA_DIR: dataDir, OPENAI_API_KEY: "", ...more };
  const child = spawn(process.execPath, [MAIN], { env, stdio: ["ignore", "pipe", "inherit"] });
  const port = await portOf(child);
  return {
    port,
    stop: async (signal = "SIGTERM") => {
      if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
      const exit = once(child, "exit");
      child.kill(signal);
      const [code] = (await exit) as [number | null];
      return code;
    },
  };
}

/** Reads the line with which the application says that it is there. */
function portOf(child: ChildProcess): Promise<number> {
  return new Promise((resolve, reject) => {
    let output = "";
    child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      const port = /^listening on http:\/\/localhost:(\d+)$/m.exec(output)?.[1];
      if (port !== undefined) resolve(Number(port));
    });
    child.once("exit", (code) => reject(new Error(`the application ended with ${code}: ${output}`)));
  });
}
