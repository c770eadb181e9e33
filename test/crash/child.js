// Processes that are made to be killed, and what they say on their output.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { SAID } from "./scheme.js";

/**
 * Runs a script of this folder.
 *
 * @param {string} script
 * @param {unknown} start What the script is given, as JSON.
 * @param {(words: string[]) => void} onSaid Given every line that was said in full.
 */
export function startWorker(script, start, onSaid) {
  const child = spawn(
    process.execPath,
    [fileURLToPath(new URL(script, import.meta.url)), JSON.stringify(start)],
    {
      stdio: ["pipe", "pipe", "inherit"],
    },
  );
  // Killed before it has read what it was told.
  child.stdin.on("error", () => undefined);
  const gone = once(child, "close");
  /** @type {Set<string>} */
  const said = new Set();
  let check = () => /** @type {unknown} */ (undefined);
  createInterface({ input: child.stdout }).on("line", (line) => {
    const words = line.split(" ");
    if (words.pop() !== SAID) return;
    if (words.length === 1) said.add(line);
    onSaid(words);
    check();
  });
  return {
    /** Resolves when it has said a word, or can say no more. @param {string} word */
    async hear(word) {
      /** @type {Promise<void>} */
      const heard = new Promise((resolve) => {
        check = () => said.has(`${word} ${SAID}`) && resolve();
        check();
      });
      await Promise.race([heard, gone]);
    },
    /** @param {string} word */
    tell(word) {
      child.stdin.write(word);
    },
    /** Resolves when it is gone, and everything that it had said is heard; to a fault where it had gone by itself. */
    async kill() {
      const { exitCode } = child;
      child.kill("SIGKILL");
      await gone;
      return exitCode === null ? undefined : `the server ended by itself, with code ${exitCode}`;
    },
  };
}

/** A port that nobody has now. */
export async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = /** @type {import("node:net").AddressInfo} */ (server.address());
  server.close();
  await once(server, "close");
  return port;
}

/**
 * Numbers from 0 to 1, the same ones for the same seed.
 *
 * @param {number} seed
 */
export function randomFrom(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
