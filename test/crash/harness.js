// Kills a server at random moments, starts it again, and then compares three accounts of what was published: what the
// server said it had accepted, what the log holds, and what clients received that lived through it all.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { faultsOfLog, faultsOfReader, readLog } from "./accounts.js";
import { freePort, randomFrom, startWorker } from "./child.js";
import { Reader } from "./reader.js";

const LANES = 4;
const READERS = 6;
/** How long the server may live: most of the time from when it publishes, else from its start, while it opens its log. */
const MAX_LIFE_MS = 300;
const KILLED_EARLY = 0.25;
/** So many at the most does a server make, each time that it is started. */
const SHORT_TOPICS = 1_000_000;
/** After the last restart: how long readers may take to have everything. */
const CATCH_UP_MS = 20_000;

/**
 * @typedef {object} Account What the server said.
 * @property {string[][]} accepted By lane: the id of each number.
 * @property {string[]} deleted Topics.
 * @property {string[]} finished Topics.
 * @property {number} starts How often it was started.
 * @property {string[]} faults
 *
 * @typedef {object} Summary
 * @property {number} seed
 * @property {number} kills
 * @property {number} accepted Events whose publish had resolved.
 * @property {number} stored Events in the log, those among them whose publish had not.
 * @property {number} delivered To all readers together.
 * @property {number} connections
 * @property {string[]} faults Empty where all promises were kept.
 */

/**
 * @param {{ kills: number, seed: number, progress?: (text: string) => void }} options
 * @returns {Promise<Summary>}
 */
export async function crash({ kills, seed, progress = () => undefined }) {
  const random = randomFrom(seed);
  const path = await mkdtemp(join(tmpdir(), "everstream-crash-"));
  const port = await freePort();
  /** @type {Account} */
  const account = {
    accepted: Array.from({ length: LANES }, () => []),
    deleted: [],
    finished: [],
    starts: 0,
    faults: [],
  };
  const readers = Array.from({ length: READERS }, (_, index) => {
    // All lanes, or some.
    const lanes = account.accepted.map((_, lane) => lane);
    return new Reader(port, index % 2 === 0 ? lanes : lanes.filter((lane) => lane % 3 === index % 3), random);
  });
  try {
    for (let kill = 1; kill <= kills; kill++) {
      const server = startServer(path, port, account);
      if (random() >= KILLED_EARLY) await server.hear("ready");
      await sleep(random() * MAX_LIFE_MS);
      await server.kill();
      progress(`${kill} of ${kills} kills, ${acceptedOf(account)} events accepted`);
    }
    const server = startServer(path, port, account);
    await server.publishMore();
    await Promise.race([caughtUp(readers, account), sleep(CATCH_UP_MS, undefined, { ref: false })]);
    for (const reader of readers) reader.close();
    await server.kill();
    const log = await readLog(path, account);
    return {
      seed,
      kills,
      accepted: acceptedOf(account),
      stored: log.lanes.reduce((sum, events) => sum + events.length, 0),
      delivered: readers.reduce((sum, reader) => sum + reader.count, 0),
      connections: readers.reduce((sum, { connections }) => sum + connections, 0),
      faults: [
        ...account.faults,
        ...faultsOfLog(log, account),
        ...readers.flatMap((reader) => faultsOfReader(reader, log)),
      ],
    };
  } finally {
    for (const reader of readers) reader.close();
    await rm(path, { recursive: true });
  }
}

/**
 * @param {string} path
 * @param {number} port
 * @param {Account} account
 */
function startServer(path, port, account) {
  const next = account.accepted.map((ids) => ids.length);
  const start = { path, port, next, short: account.starts++ * SHORT_TOPICS };
  const server = startWorker("worker.js", start, (words) => take(account, words));
  return {
    hear: server.hear,
    /** Lets it publish for a while, and resolves when it has stopped. */
    async publishMore() {
      await server.hear("ready");
      await sleep(MAX_LIFE_MS);
      server.tell("stop");
      await server.hear("stopped");
    },
    async kill() {
      const fault = await server.kill();
      if (fault !== undefined) account.faults.push(fault);
    },
  };
}

/**
 * @param {Account} account
 * @param {string[]} words
 */
function take({ accepted, deleted, finished }, [what, first = "", second = "", ids = ""]) {
  if (what === "accepted" && accepted[Number(first)]?.length === Number(second)) {
    accepted[Number(first)]?.push(...ids.split(","));
  }
  if (what === "deleted") deleted.push(first);
  if (what === "finished") finished.push(first);
}

/**
 * Resolves when all readers have what was accepted last on the lanes that they read.
 *
 * @param {readonly Reader[]} readers
 * @param {Account} account
 */
async function caughtUp(readers, account) {
  const isBehind = (/** @type {Reader} */ reader) =>
    reader.lanes.some((lane) => reader.received.get(lane)?.at(-1)?.id !== account.accepted[lane]?.at(-1));
  while (readers.some(isBehind)) await sleep(10);
}

/** @param {Account} account */
function acceptedOf({ accepted }) {
  return accepted.reduce((sum, ids) => sum + ids.length, 0);
}
