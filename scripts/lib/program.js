import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/**
 * @typedef {object} Program A program that runs beside this one until it is ended, or ends by itself.
 * @property {number} pid
 * @property {Promise<string>} ended Resolves to how it ended, in words.
 * @property {RegExpExecArray} ready What it said when it was ready.
 * @property {(signal?: NodeJS.Signals) => Promise<string>} stop Asks for its end, and resolves once it is there.
 *
 * @typedef {import("node:child_process").ChildProcess} ChildProcess
 */

const GUARD = fileURLToPath(new URL("guard.js", import.meta.url));

/** @type {Set<ChildProcess>} */
const running = new Set();
/** What ends them where this process can't do so itself. @type {ChildProcess | undefined} */
let guard;
process.once("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/**
 * Starts a program, and resolves once its output matches `ready`; rejects where it ends before, or is not ready in time. It is
 * killed when this process exits, and ended when this process is killed. What it says later is passed on, each line with its
 * name before it.
 *
 * @param {string} name
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ ready: RegExp, env?: Record<string, string>, limitMs?: number, quiet?: boolean }} options
 * @returns {Promise<Program>}
 */
export function startProgram(name, command, args, { ready, env = {}, limitMs = 30_000, quiet = false }) {
  guard ??= startGuard();
  const child = spawn(command, args, {
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    // A group of its own, which a terminal's Ctrl-C does not reach: they are ended one after the other, in good order.
    detached: true,
  });
  running.add(child);
  tellGuard("+", child);
  /** @type {Promise<string>} */
  const ended = new Promise((resolve) => {
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code, signal) => resolve(signal === null ? `exit code ${code}` : signal));
  });
  void ended.then(() => {
    running.delete(child);
    tellGuard("-", child);
  });
  return new Promise((resolve, reject) => {
    let output = "";
    let isReady = false;
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`${name} was not ready after ${limitMs} ms:\n${output}`));
    }, limitMs);
    void ended.then((how) => {
      clearTimeout(timer);
      if (!isReady) reject(new Error(`${name} did not start (${how}):\n${output}`));
    });
    const take = (/** @type {string} */ text) => {
      if (isReady) {
        if (!quiet) for (const line of text.trimEnd().split("\n")) console.log(`${name}: ${line}`);
        return;
      }
      output += text;
      const match = ready.exec(output);
      if (match === null) return;
      isReady = true;
      clearTimeout(timer);
      resolve({
        pid: child.pid ?? 0,
        ended,
        ready: match,
        stop: (signal = "SIGTERM") => {
          child.kill(signal);
          return ended;
        },
      });
    };
    child.stdout.setEncoding("utf8").on("data", take);
    child.stderr.setEncoding("utf8").on("data", take);
  });
}

/** Its input ends with this process, in whatever way that ends: the system closes it. */
function startGuard() {
  const started = spawn(process.execPath, [GUARD], { stdio: ["pipe", "ignore", "ignore"], detached: true });
  // It is no reason to go on living, nor is what it is told.
  started.unref();
  // Where it is gone, the next program has another one, which looks after all of them.
  const leave = () => {
    if (guard === started) guard = undefined;
  };
  started.once("error", leave).once("exit", leave);
  started.stdin.on("error", leave);
  for (const child of running) started.stdin.write(`+${child.pid}\n`);
  return started;
}

/** @param {"+" | "-"} sign @param {ChildProcess} child */
function tellGuard(sign, child) {
  if (child.pid !== undefined) guard?.stdin?.write(`${sign}${child.pid}\n`);
}
