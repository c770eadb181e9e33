import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

const MERCY_MS = 1000;

/**
 * A child process that reads one JSON object a line and answers each with one: servers under test and load
 * generators are all driven this way, whatever they are written in.
 */
export class LineProcess {
  /** @type {import("node:child_process").ChildProcess} */
  #child;
  /** @type {{ resolve: (reply: Record<string, unknown>) => void, reject: (why: Error) => void }[]} */
  #waiting = [];
  /** @type {Record<string, unknown>[]} */
  #unclaimed = [];
  #name;
  /** @type {Error | undefined} */
  #ended;

  /**
   * @param {string} name for messages
   * @param {string} command
   * @param {string[]} args
   */
  constructor(name, command, args) {
    this.#name = name;
    this.#child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
    this.#child.once("error", (error) => this.#end(error));
    this.#child.once("exit", (code, signal) =>
      this.#end(new Error(`${name} ended early (${signal ?? `exit code ${code}`})`)),
    );
    // A child that died while a command was on its way: `exit` tells the story.
    this.#child.stdin?.on("error", () => undefined);
    createInterface({ input: /** @type {import("node:stream").Readable} */ (this.#child.stdout) }).on(
      "line",
      (line) => this.#take(line),
    );
  }

  /** @param {string} line */
  #take(line) {
    const reply = JSON.parse(line);
    const next = this.#waiting.shift();
    if (!next) this.#unclaimed.push(reply);
    else if (reply.error) next.reject(new Error(`${this.#name}: ${reply.error}`));
    else next.resolve(reply);
  }

  /** @param {Error} why */
  #end(why) {
    this.#ended ??= why;
    for (const { reject } of this.#waiting.splice(0)) reject(this.#ended);
  }

  /**
   * The next line that the child says, asked for or not: its greeting is the first.
   *
   * @returns {Promise<Record<string, any>>}
   */
  reply() {
    const early = this.#unclaimed.shift();
    if (early) return Promise.resolve(early);
    if (this.#ended) return Promise.reject(this.#ended);
    return new Promise((resolve, reject) => this.#waiting.push({ resolve, reject }));
  }

  /**
   * @param {string} cmd
   * @param {Record<string, unknown>} [fields]
   */
  call(cmd, fields = {}) {
    this.#child.stdin?.write(`${JSON.stringify({ cmd, ...fields })}\n`);
    return this.reply();
  }

  /**
   * Ends the child, and resolves when it is gone. May be called twice. The end of its input is the word to go, so that
   * it can take along what it started; one that is too busy to hear it is killed.
   */
  async close() {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, "exit");
    this.#child.stdin?.end();
    const killer = setTimeout(() => this.#child.kill("SIGKILL"), MERCY_MS);
    await gone;
    clearTimeout(killer);
  }
}
