// What the log holds after all crashes, and what there is to find fault with in it and in what readers received.
import { createHub } from "everstream";
import { lmdbLog } from "everstream/lmdb";
import { laneTopic, RING, RING_EVENTS } from "./scheme.js";

/**
 * @typedef {{ n: number, id: string }} Numbered
 *
 * @typedef {object} LogAccount
 * @property {Numbered[][]} lanes
 * @property {number[]} ring
 * @property {string[]} undead Deleted topics that hold events.
 * @property {string[]} unfinished Finished topics that take events.
 */

/**
 * Opens the log here and reads it.
 *
 * @param {string} path
 * @param {import("./harness.js").Account} account
 * @returns {Promise<LogAccount>}
 */
export async function readLog(path, { accepted, deleted, finished }) {
  const hub = createHub({ log: lmdbLog({ path }) });
  try {
    const lanes = [];
    for (const lane of accepted.keys()) {
      const events = await readAll(hub, laneTopic(lane));
      lanes.push(events.map(({ data, id }) => ({ n: /** @type {[number, number]} */ (data)[1], id })));
    }
    const ring = (await readAll(hub, RING)).map(({ data }) => /** @type {number} */ (data));
    const undead = [];
    for (const topic of deleted) if ((await readAll(hub, topic)).length > 0) undead.push(topic);
    const unfinished = [];
    // Those that the log still remembers: it keeps the last thousand of topics without events, and all with events.
    for (const topic of finished) {
      if ((await readAll(hub, topic)).length === 2 && !(await isFinished(hub, topic))) unfinished.push(topic);
    }
    return { lanes, ring, undead, unfinished };
  } finally {
    await hub.close();
  }
}

/**
 * @param {LogAccount} log
 * @param {import("./harness.js").Account} account
 * @returns {string[]}
 */
export function faultsOfLog({ lanes, ring, undead, unfinished }, { accepted }) {
  const faults = [...undead.map((topic) => `${topic} was deleted and has events`)];
  faults.push(...unfinished.map((topic) => `${topic} was finished and takes events`));
  for (const [lane, events] of lanes.entries()) {
    faults.push(...faultsOfOrder(`lane ${lane} in the log`, events));
    const lost = accepted[lane]?.findIndex((id, n) => events[n]?.id !== id) ?? -1;
    if (lost >= 0) faults.push(`lane ${lane} in the log: number ${lost} was accepted and is not there`);
  }
  if (ring.length !== RING_EVENTS) faults.push(`the ring holds ${ring.length} events`);
  return faults;
}

/**
 * @param {import("./reader.js").Reader} reader
 * @param {LogAccount} log
 * @returns {string[]}
 */
export function faultsOfReader({ lanes, received, gaps }, log) {
  const faults = gaps.map((gap) => `a reader was told of a gap, though nothing is missing: ${gap}`);
  for (const lane of lanes) {
    const events = received.get(lane) ?? [];
    faults.push(...faultsOfOrder(`lane ${lane} at a reader`, events));
    const stored = log.lanes[lane] ?? [];
    const wrong = events.findIndex(({ id }, index) => id !== stored[index]?.id);
    if (wrong >= 0) faults.push(`lane ${lane} at a reader: number ${wrong} has another id than in the log`);
    if (events.length !== stored.length) {
      faults.push(`lane ${lane} at a reader: ${events.length} of ${stored.length} events`);
    }
  }
  return faults;
}

/**
 * Numbers must begin with 0 and rise by one.
 *
 * @param {string} where
 * @param {readonly Numbered[]} events
 */
function faultsOfOrder(where, events) {
  const wrong = events.findIndex(({ n }, index) => n !== index);
  return wrong === -1 ? [] : [`${where}: ${events[wrong]?.n} in place of ${wrong}`];
}

/**
 * @param {import("everstream").Hub} hub
 * @param {string} topic
 */
async function readAll(hub, topic) {
  const all = [];
  let after;
  for (;;) {
    const { events } = await hub.read(topic, { after });
    if (events.length === 0) return all;
    all.push(...events);
    after = events.at(-1)?.id;
  }
}

/**
 * @param {import("everstream").Hub} hub
 * @param {string} topic
 */
async function isFinished(hub, topic) {
  try {
    await hub.publish(topic, { data: 3 });
    return false;
  } catch (error) {
    return /** @type {{ code?: string }} */ (error).code === "TOPIC_FINISHED";
  }
}
