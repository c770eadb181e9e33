import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { ownCpuUs, publish } from "./publishing.js";

/**
 * @typedef {object} Subject
 * @property {() => Promise<number>} listen resolves to the port. `GET /events?topics=a,b` subscribes (topics where
 *   the subject knows them), `GET /tokens?count=&perTurn=` is one handler that writes
 * @property {(data: { t: string, pad: string }, topic: string) => unknown} publish
 * @property {boolean} [pressesBack] `publish` returns a promise that waits when writing falls behind. Where nothing
 *   presses back, the publisher takes a turn of the event loop itself, lest nothing is ever sent
 * @property {() => Promise<unknown>} [close] takes along what it started
 * @property {() => number} [cpuUs] CPU time used so far, where the subject is another process than this one
 */

/**
 * Resident memory when the process has come to rest. V8 keeps the pages of its young generation in a pool and gives
 * them back some eight seconds after it grew: waiting less counts them as if the connections needed them.
 *
 * @param {{ settleMs: number }} options
 */
async function settledMemory({ settleMs }) {
  for (let waited = 0; waited < settleMs; waited += 500) {
    globalThis.gc?.();
    await delay(500);
  }
  return { rssBytes: process.memoryUsage.rss(), heapBytes: process.memoryUsage().heapUsed };
}

/**
 * Runs a server under test: listens, says its port, then obeys the bench's commands on stdin, one at a time.
 *
 * @param {Subject} subject
 */
export async function host(subject) {
  /** @type {Record<string, (command: any) => unknown>} */
  const commands = {
    publish: (command) => {
      if (!command.background) return publish(subject, command);
      void publish(subject, command);
      return { started: 1 };
    },
    cpu: () => ({ cpuUs: subject.cpuUs?.() ?? ownCpuUs() }),
    memory: settledMemory,
  };
  say({ port: await subject.listen() });
  const input = createInterface({ input: process.stdin });
  // Also in the middle of a command.
  input.once("close", async () => {
    await subject.close?.();
    process.exit(0);
  });
  for await (const line of input) {
    const command = JSON.parse(line);
    say((await commands[command.cmd]?.(command)) ?? { error: `unknown command ${command.cmd}` });
  }
}

/** @param {unknown} reply */
function say(reply) {
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
