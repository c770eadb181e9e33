// Reads what strace writes.
import { readFileSync } from "node:fs";

/**
 * @typedef {object} Call A system call that returned.
 * @property {string} name
 * @property {string} text Its arguments as strace shows them.
 * @property {number} begun Its place in the trace, and that of its return.
 * @property {number} ended
 * @property {number} result
 */

/** A text that nothing else in a trace has. @param {number} n */
export const markOf = (n) => `<event ${n}>`;

/**
 * The calls of a trace made with `strace -f -o`, in the order in which they began.
 *
 * @param {string} path
 * @returns {Call[]}
 */
export function readTrace(path) {
  /** @type {Map<string, { begun: number, name: string, text: string }>} */
  const unfinished = new Map();
  /** @type {Call[]} */
  const calls = [];
  for (const [index, line] of readFileSync(path, "utf8").split("\n").entries()) {
    const [, thread, rest] = /^(\d+) +(.*)$/s.exec(line) ?? [];
    if (thread === undefined || rest === undefined) continue;
    const begin = /^(\w+)\((.*) <unfinished \.\.\.>$/s.exec(rest);
    if (begin) {
      unfinished.set(thread, { begun: index, name: String(begin[1]), text: String(begin[2]) });
      continue;
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)\) += (-?\d+)/s.exec(rest);
    const call = resumed && unfinished.get(thread);
    if (resumed && call) calls.push({ ...call, ended: index, result: Number(resumed[2]) });
    const whole = /^(\w+)\((.*)\) += (-?\d+)/s.exec(rest);
    if (whole) {
      const [, name = "", text = "", result] = whole;
      calls.push({ name, text, begun: index, ended: index, result: Number(result) });
    }
  }
  return calls.sort((a, b) => a.begun - b.begun);
}
