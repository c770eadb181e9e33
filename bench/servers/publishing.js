import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { eventData, turn } from "./event.js";

/**
 * @typedef {object} Publishing
 * @property {number} [ms] publishes for as long
 * @property {number} [events] or until there were so many
 * @property {number} [bytes] of each event's data
 * @property {number} [burst] events for each turn of the event loop, where the subject doesn't press back
 * @property {number} [everyMs] one event so often, timed from when it was due, lest an event loop that is held up
 *   goes unnoticed; else one after the other
 * @property {string[]} [topics] published to in turn
 * @property {boolean} [loopDelay] has the event loop's delay told
 */

/**
 * `last` is what publishing the last event gave: an id, from those who have ids.
 *
 * @param {import("./host.js").Subject} subject
 * @param {Publishing} options
 */
export async function publish(subject, options) {
  const { ms = Number.POSITIVE_INFINITY, events = Number.POSITIVE_INFINITY, bytes = 150 } = options;
  const { burst = 1, everyMs = 0, topics = ["ticks"] } = options;
  const makeData = eventData(bytes);
  const loop = options.loopDelay ? monitorEventLoopDelay({ resolution: 1 }) : undefined;
  const cpu = subject.cpuUs?.() ?? ownCpuUs();
  const began = performance.now();
  const beganNs = process.hrtime.bigint();
  /** @param {number} index */
  const dueNs = (index) => (everyMs > 0 ? beganNs + BigInt(index * everyMs * 1e6) : undefined);
  let published = 0;
  let last;
  loop?.enable();
  while (published < events && performance.now() - began < ms) {
    const topic = /** @type {string} */ (topics[published % topics.length]);
    const data = makeData(dueNs(published));
    if (subject.pressesBack) last = await subject.publish(data, topic);
    else void subject.publish(data, topic);
    published++;
    if (everyMs > 0) await until(began + published * everyMs);
    else if (!subject.pressesBack && published % burst === 0) await turn();
  }
  loop?.disable();
  return {
    published,
    ms: performance.now() - began,
    cpuUs: (subject.cpuUs?.() ?? ownCpuUs()) - cpu,
    ...(typeof last === "string" && { last }),
    ...(loop && { loop: described(loop) }),
  };
}

/** Never too early, as a timer alone may be by a fraction of a millisecond. @param {number} due */
async function until(due) {
  for (let left = due - performance.now(); left > 0; left = due - performance.now()) {
    await delay(Math.ceil(left));
  }
}

export function ownCpuUs() {
  const { user, system } = process.cpuUsage();
  return user + system;
}

/** Where the steps of the printed histogram end. */
const STEPS_MS = [1.5, 2, 3, 4, 5, 7, 10, 20, 50, 100];

/**
 * What Node keeps is the time between two ticks of a timer of one millisecond, that one included. Its histogram does not
 * show its counts, but it can be asked how much of it lies below a value.
 *
 * @param {import("node:perf_hooks").IntervalHistogram} loop
 */
function described(loop) {
  const us = (/** @type {number} */ percentile) => loop.percentile(percentile) / 1000;
  const shares = STEPS_MS.map((ms) => ({ ms, share: shareUpTo(loop, ms * 1e6) }));
  return {
    ticks: loop.count,
    p50Us: us(50),
    p99Us: us(99),
    p999Us: us(99.9),
    maxUs: loop.max / 1000,
    shares,
  };
}

/** @param {import("node:perf_hooks").IntervalHistogram} loop @param {number} ns */
function shareUpTo(loop, ns) {
  let low = 0;
  let high = 100;
  if (loop.max <= ns) return 1;
  for (let halvings = 0; halvings < 40; halvings++) {
    const middle = (low + high) / 2;
    if (loop.percentile(Math.max(middle, 1e-9)) <= ns) low = middle;
    else high = middle;
  }
  return low / 100;
}
