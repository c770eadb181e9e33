import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { eventData, turn } from "./event.js";

/**
 * @typedef {object} Subject
 * @property {() => Promise<number>} listen resolves to the port. `GET /events?topics=a,b` subscribes (topics where
 *   the subject knows them), `GET /tokens?count=&perTurn=` is one handler that writes
 * @property {(data: { t: string, pad: string }, topic: string) => unknown} publish
 * @property {boolean} [pressesBack] `publish` returns a promise that waits when writing falls behind. Where nothing
 *   presses back, the publisher takes a turn of the event loop itself, lest nothing is ever sent
 */

/** @typedef {{ ms: number, bytes?: number, burst?: number, everyMs?: number, topics?: string[] }} Publishing */

/**
 * Publishes back to back for `ms`, or one event every `everyMs`, to `topics` in turn.
 *
 * @param {Subject} subject
 * @param {Publishing} options
 */
async function publish(subject, { ms, bytes = 150, burst = 1, everyMs = 0, topics = ["ticks"] }) {
  const makeData = eventData(bytes);
  const cpu = process.cpuUsage();
  const began = performance.now();
  let published = 0;
  while (performance.now() - began < ms) {
    const topic = /** @type {string} */ (topics[published % topics.length]);
    if (subject.pressesBack) await subject.publish(makeData(), topic);
    else void subject.publish(makeData(), topic);
    published++;
    if (everyMs > 0) await delay(everyMs);
    else if (!subject.pressesBack && published % burst === 0) await turn();
  }
  return { published, ms: performance.now() - began, cpuUs: usedSince(cpu) };
}

/** @param {NodeJS.CpuUsage} start */
function usedSince(start) {
  const { user, system } = process.cpuUsage(start);
  return user + system;
}

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
    publish: (command) => publish(subject, command),
    cpu: () => ({ cpuUs: usedSince({ user: 0, system: 0 }) }),
    memory: settledMemory,
    quit: () => process.exit(0),
  };
  say({ port: await subject.listen() });
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    say((await commands[command.cmd]?.(command)) ?? { error: `unknown command ${command.cmd}` });
  }
  process.exit(0);
}

/** @param {unknown} reply */
function say(reply) {
  process.stdout.write(`${JSON.stringify(reply)}\n`);
}
