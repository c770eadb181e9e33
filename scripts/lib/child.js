import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** The folder that holds package.json. Every script works from here, wherever it was called. */
export const root = fileURLToPath(new URL("../../", import.meta.url));

/**
 * @typedef {object} ChildOptions
 * @property {string} [cwd] Where it runs; the repository's root if not given.
 * @property {Record<string, string>} [env] Added to this process's environment.
 * @property {boolean} [show] Write the output through as it comes; otherwise it is only collected.
 * @property {number} [timeoutMs] When it is over, the child and all that it started are killed.
 *
 * @typedef {object} ChildResult
 * @property {number} code The exit code; 128 and more where a signal ended it, 127 where it could not start.
 * @property {string} output What it wrote to stdout and stderr, in the order it came. Empty with `show`.
 */

/** @type {Set<number>} */
const groups = new Set();

/**
 * Runs a command to its end. Never rejects: a command that can't be started is a result with code 127.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {ChildOptions} [options]
 * @returns {Promise<ChildResult>}
 */
export function runChild(command, args, { cwd = root, env = {}, show = false, timeoutMs } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: show ? ["ignore", "inherit", "inherit"] : ["ignore", "pipe", "pipe"],
      // A group of its own, so that a browser which a dying test worker left behind can be ended with it.
      detached: true,
    });
    const { pid } = child;
    if (pid !== undefined) groups.add(pid);
    let output = "";
    let late = false;
    const collect = (/** @type {string} */ text) => {
      output += text;
    };
    child.stdout?.setEncoding("utf8").on("data", collect);
    child.stderr?.setEncoding("utf8").on("data", collect);

    const timer =
      timeoutMs === undefined || pid === undefined
        ? undefined
        : setTimeout(() => {
            late = true;
            killGroup(pid, "SIGKILL");
          }, timeoutMs);

    const settle = (/** @type {number} */ code) => {
      clearTimeout(timer);
      if (late) {
        const words = `${command} ${args.join(" ")}: killed after ${timeoutMs} ms`;
        if (show) console.log(words);
        else output += `\n${words}`;
      }
      resolve({ code, output });
    };
    child.on("error", (error) => {
      output += error.message;
      settle(127);
    });
    child.on("exit", () => {
      // Whatever the command left running would hold our pipes, and ports and folders that the next one needs.
      if (pid !== undefined && groups.delete(pid)) killGroup(pid, "SIGKILL");
    });
    child.on("close", (code, signal) => settle(code ?? (signal === "SIGINT" ? 130 : 137)));
  });
}

/**
 * Runs a script of an installed package, such as `typescript/bin/tsc`, with the Node that runs this.
 *
 * @param {string} script Its path below node_modules.
 * @param {readonly string[]} args
 * @param {ChildOptions} [options]
 */
export function runTool(script, args, options) {
  return runChild(process.execPath, [`node_modules/${script}`, ...args], options);
}

/**
 * Children stand in groups of their own, which a terminal's Ctrl-C does not reach: passes it on, then ends as it asks.
 *
 * @returns {() => void} Gives the signals back.
 */
export function endWithChildren() {
  const onSignal = (/** @type {NodeJS.Signals} */ signal) => {
    for (const pid of groups) killGroup(pid, signal);
    process.exit(signal === "SIGINT" ? 130 : 143);
  };
  process.on("SIGINT", onSignal).on("SIGTERM", onSignal);
  return () => {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  };
}

/**
 * @param {number} pid
 * @param {NodeJS.Signals} signal
 */
function killGroup(pid, signal) {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // The usual case: the whole group is gone already.
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== "ESRCH") throw error;
  }
}
