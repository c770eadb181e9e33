// Runs the documents' code blocks as they stand, so that a test can see whether they do what their page says.
import { mkdir, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, Server } from "node:net";
import { dirname, join } from "node:path";
import { onTestFinished, vi } from "vitest";
import { type CodeBlock, codeBlocks } from "./markdown.ts";
import { readText, root } from "./repository.ts";

/** Which block of a page: the first in TypeScript, or the first below a heading. */
export interface ExampleChoice {
  /** The heading's words. */
  readonly below?: string;
}

/** How a block is run. */
export interface ExampleOptions extends ExampleChoice {
  /** What the block declares without defining it (`declare const model: …`). */
  readonly declared?: Readonly<Record<string, unknown>>;
  /** Names of the block's own that the test wants to have, such as its hub. */
  readonly wanted?: readonly string[];
}

/** A block that has been run. */
export interface RunExample {
  /** What it exports, and what was wanted of it. */
  readonly values: Readonly<Record<string, unknown>>;
  /** Where its servers listen, in the order in which they began: `http://127.0.0.1:<port>`. */
  readonly urls: readonly string[];
}

let count = 0;

/** A block of a page: `docs/hub.md`. Throws where there is none. */
function exampleOf(page: string, { below }: ExampleChoice = {}): CodeBlock {
  const text = readText(page);
  const heading = below === undefined ? 0 : lineOfHeading(text, below);
  const block = codeBlocks(text).find(({ info, line }) => /^tsx?\b/.test(info) && line > heading);
  if (heading === -1 || block === undefined)
    throw new Error(`${page} has no example in TypeScript${below ? ` below ${JSON.stringify(below)}` : ""}`);
  return block;
}

/**
 * Runs a block as a module of its own, in this process and against the sources. Its servers listen on free ports instead of
 * those that it names, and are closed with the test. What it does to the process (signals, `process.exit`, files) is for
 * {@link bundleExample} and a process of its own.
 */
export async function runExample(page: string, options: ExampleOptions = {}): Promise<RunExample> {
  const { declared = {}, wanted = [] } = options;
  for (const [name, value] of Object.entries(declared)) vi.stubGlobal(name, value);
  onTestFinished(() => {
    vi.unstubAllGlobals();
  });
  const { code, info } = exampleOf(page, options);
  const exported = wanted.length > 0 ? `\nexport { ${wanted.join(", ")} };\n` : "\n";
  const file = await writeModule(page, info, code + exported);
  const servers: Server[] = [];
  const listening = listenOnFreePorts(servers);
  try {
    const values = (await import(/* @vite-ignore */ file)) as Record<string, unknown>;
    return { values, urls: await Promise.all(servers.map(urlOf)) };
  } finally {
    listening.mockRestore();
  }
}

/**
 * Writes a block, with code that runs after it, to a file that other tools can bundle. The file is gone after the test.
 *
 * @param last It sees the block's names.
 */
export function writeExample(page: string, last: string, choice: ExampleChoice = {}): Promise<string> {
  const { code, info } = exampleOf(page, choice);
  return writeModule(page, info, `${code}\n${last}\n`);
}

/**
 * Makes one file of a block and the sources that it imports, for `node <file>`: for examples that end their process, or
 * are to be run twice. The file is gone after the test.
 *
 * @param last Code that runs after the block, and sees its names.
 */
export async function bundleExample(
  page: string,
  { last = "", ...choice }: ExampleChoice & { last?: string } = {},
): Promise<string> {
  const { rolldown } = await import("rolldown");
  const { code, info } = exampleOf(page, choice);
  const input = await writeModule(page, info, `${code}\n${last}\n`);
  const bundled = await rolldown({
    input,
    platform: "node",
    // What is installed is found from the bundle's place, within the repository.
    external: (id) => !/^(\.|\/|everstream(\/|$))/.test(id),
    tsconfig: join(root, "tsconfig.json"),
  });
  const file = input.replace(/\.tsx?$/, ".mjs");
  await bundled.write({ file, format: "esm", codeSplitting: false });
  await bundled.close();
  onTestFinished(() => rm(file, { force: true }));
  return file;
}

function lineOfHeading(text: string, words: string): number {
  const line = text
    .split("\n")
    .findIndex((each) => /^#+ /.test(each) && each.replace(/^#+ /, "").trim() === words);
  return line === -1 ? -1 : line + 1;
}

/** Below the repository's root, so that it imports what is installed there; a file of its own, so that nothing is remembered. */
async function writeModule(page: string, info: string, code: string): Promise<string> {
  const name = `${page.replace(/\W/g, "-")}-${process.pid}-${count++}.${info.startsWith("tsx") ? "tsx" : "ts"}`;
  const file = join(root, "artifacts/test/examples", name);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, code);
  onTestFinished(() => rm(file, { force: true }));
  return file;
}

function listenOnFreePorts(servers: Server[]): { mockRestore(): void } {
  const { listen } = Server.prototype;
  return vi.spyOn(Server.prototype, "listen").mockImplementation(function (this: Server, ...args: unknown[]) {
    servers.push(this);
    onTestFinished(() => closeServer(this));
    const done = args.findLast((arg) => typeof arg === "function") as (() => void) | undefined;
    return Reflect.apply(listen, this, [0, "127.0.0.1", done]) as Server;
  });
}

async function urlOf(server: Server): Promise<string> {
  if (!server.listening) await new Promise((resolve) => server.once("listening", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function closeServer(server: Server): Promise<void> {
  if (!server.listening) return;
  const closed = new Promise((resolve) => server.close(resolve));
  if ("closeAllConnections" in server) (server.closeAllConnections as () => void)();
  await closed;
}
