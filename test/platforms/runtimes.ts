// Bun, Deno and workerd, as their npm packages bring them: each runs the application of this folder on its own server.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { root } from "../setup/repository.ts";
import { BUN, bundle, DENO, WORKER, WORKERD, writeEntries } from "./entries.ts";

export interface Runtime {
  /** Where its server is. */
  readonly url: string;
  close(): Promise<void>;
}

const requireHere = createRequire(join(root, "package.json"));

/**
 * The program of an npm package whose builds come as optional packages, one for each platform: npm installs the one that
 * fits. The packages' install scripts, which would put it in place, are not run.
 */
function programOf(name: string, paths: readonly string[]): string {
  const manifest = requireHere.resolve(`${name}/package.json`);
  const { optionalDependencies } = JSON.parse(readFileSync(manifest, "utf8")) as {
    optionalDependencies: Record<string, string>;
  };
  const requireThere = createRequire(manifest);
  for (const build of Object.keys(optionalDependencies)) {
    try {
      const folder = dirname(requireThere.resolve(`${build}/package.json`));
      const found = paths.map((path) => join(folder, path)).find((path) => existsSync(path));
      if (found !== undefined) return found;
    } catch {
      // The build of another platform.
    }
  }
  throw new Error(`no build of ${name} for this platform is installed; npm ci brings it where there is one`);
}

/** Starts `program` and waits until its output tells the port of its server. */
async function start(program: string, args: readonly string[], cwd: string, port: RegExp): Promise<Runtime> {
  // Nothing of what the machine has set for these programs, and no proxy between loopback addresses.
  const env = { PATH: process.env.PATH ?? "", HOME: cwd, TMPDIR: cwd, NO_COLOR: "1" };
  const child = spawn(program, args, { cwd, env, stdio: ["ignore", "pipe", "pipe", "pipe"] });
  const close = (): Promise<void> => end(child);
  let output = "";
  const told = new Promise<string>((resolve, reject) => {
    for (const stream of child.stdio.slice(1)) {
      stream?.on("data", (chunk: Buffer) => {
        output += chunk.toString();
        const found = port.exec(output)?.[1];
        if (found !== undefined) resolve(found);
      });
    }
    child.once("error", reject);
    child.once("exit", () => reject(new Error(`${program} ended before it listened:\n${output}`)));
  });
  try {
    return { url: `http://127.0.0.1:${await told}`, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGKILL");
  await gone;
}

/** A folder of the runtime's own, inside of the one where the package is installed, so that its imports are found. */
async function folderIn(consumer: string, name: string): Promise<string> {
  const folder = join(consumer, name);
  await mkdir(folder, { recursive: true });
  return folder;
}

export const runtimes: Readonly<Record<string, (consumer: string) => Promise<Runtime>>> = {
  async Bun(consumer) {
    const folder = await folderIn(consumer, "bun");
    await writeEntries(folder, { "app.js": await bundle("app.ts"), "main.js": BUN });
    const program = programOf("bun", ["bin/bun", "bin/bun.exe"]);
    return start(program, ["--no-install", "run", "main.js"], folder, /port (\d+)/);
  },
  async Deno(consumer) {
    const folder = await folderIn(consumer, "deno");
    await writeEntries(folder, { "app.js": await bundle("app.ts"), "main.js": DENO });
    const program = programOf("deno", ["deno", "deno.exe"]);
    const offline = ["--no-remote", "--no-config", "--no-lock", "--node-modules-dir=manual", "--cached-only"];
    return start(program, ["run", ...offline, "--allow-net=127.0.0.1", "main.js"], folder, /port (\d+)/);
  },
  async workerd(consumer) {
    const folder = await folderIn(consumer, "workerd");
    const app = await bundle("app.ts", consumer);
    await writeEntries(folder, { "app.js": app, "worker.js": WORKER, "config.capnp": WORKERD });
    const program = programOf("workerd", ["bin/workerd", "bin/workerd.exe"]);
    return start(program, ["serve", "config.capnp", "--control-fd=3"], folder, /"port":\s*(\d+)/);
  },
};
