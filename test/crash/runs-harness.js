// Kills a server of runs while clients read what it produces, starts it again on the same folder, and then compares what
// the producers said they wrote, what the log holds, and what every client was told.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { freePort, randomFrom, startWorker } from "./child.js";
import { judgeRuns } from "./runs-accounts.js";
import { RunCase } from "./runs-case.js";

/** How long the server may live once its runs are read. */
const MAX_LIFE_MS = 200;
/** So often it is killed once more, at some moment from its start on: while it opens, ends or takes over what it finds. */
const KILLED_EARLY = 0.3;
const MAX_START_MS = 400;
/** So many runs without an end are there at the same time, where they are gone on with. */
const MAX_ENDLESS = 4;
const MAX_PIECES = 150;
const PATIENCE_MS = 30_000;

/**
 * @typedef {object} RunsSummary
 * @property {number} seed
 * @property {number} kills While runs were written and read.
 * @property {number} earlyKills
 * @property {number} runs
 * @property {Record<string, number>} states How many runs ended so.
 * @property {number} takeovers How often a run was gone on with by another process.
 * @property {number} readers
 * @property {string[]} faults Empty where all promises were kept.
 */

/**
 * @param {{ kills: number, seed: number, goesOn: boolean, progress?: (text: string) => void }} options `goesOn`: the runs
 *   of a killed process are taken over by the next one; else they are abandoned.
 * @returns {Promise<RunsSummary>}
 */
export async function crashRuns({ kills, seed, goesOn, progress = () => undefined }) {
  const path = await mkdtemp(join(tmpdir(), "everstream-crash-runs-"));
  const world = new World(path, await freePort(), randomFrom(seed), goesOn);
  try {
    for (let kill = 1; kill <= kills; kill++) {
      await world.liveAndDie();
      progress(`${kill} of ${kills} kills, ${world.cases.length} runs`);
    }
    await world.comeToAnEnd();
    const { faults, states } = await judgeRuns(path, world.cases, goesOn);
    return {
      seed,
      kills,
      earlyKills: world.earlyKills,
      runs: world.cases.length,
      states,
      takeovers: world.cases.reduce((sum, { begun }) => sum + Math.max(0, begun - 1), 0),
      readers: world.cases.reduce((sum, run) => sum + run.followers.length + run.sockets.length, 0),
      faults: [...world.faults, ...faults],
    };
  } finally {
    for (const run of world.cases) run.close();
    await rm(path, { recursive: true });
  }
}

class World {
  /** @type {RunCase[]} */
  cases = [];
  /** @type {string[]} */
  faults = [];
  earlyKills = 0;
  /** @type {Promise<void>[]} */
  #stops = [];
  /** Even while no server lives. */
  #lives = 0;
  #path;
  #port;
  #random;
  #goesOn;

  /**
   * @param {string} path
   * @param {number} port
   * @param {() => number} random
   * @param {boolean} goesOn
   */
  constructor(path, port, random, goesOn) {
    this.#path = path;
    this.#port = port;
    this.#random = random;
    this.#goesOn = goesOn;
  }

  /** A server's life, which ends when a run is being written and read. */
  async liveAndDie() {
    if (this.#random() < KILLED_EARLY) {
      this.earlyKills++;
      const server = this.#serve(false);
      await sleep(this.#random() * MAX_START_MS);
      await this.#kill(server);
    }
    const server = this.#serve(false);
    await server.hear("ready");
    this.#startRuns();
    const before = new Map(this.cases.map((run) => [run, [run.acknowledged, run.received]]));
    const isRead = (/** @type {RunCase} */ run) => {
      const [acknowledged = 0, received = 0] = before.get(run) ?? [];
      return !run.isOver && run.acknowledged > acknowledged && run.received > received;
    };
    await this.#until("a run is written and read", () => this.cases.some(isRead));
    await sleep(this.#random() * MAX_LIFE_MS);
    await this.#kill(server);
  }

  /** The last server, in which all runs end and are read by some who come late. */
  async comeToAnEnd() {
    const server = this.#serve(true);
    await server.hear("ready");
    await Promise.all(this.#stops);
    await this.#until("all runs have ended for all readers", () => this.cases.every(({ isOver }) => isOver));
    for (const run of this.cases) run.join();
    await this.#until("late readers have it all", () => this.cases.every(({ isOver }) => isOver));
    await this.#kill(server);
  }

  #startRuns() {
    this.#start(1 + Math.floor(this.#random() * MAX_PIECES));
    const endless = this.cases.filter(({ pieces, isOver }) => pieces === "endless" && !isOver);
    if (endless.length < MAX_ENDLESS) this.#start("endless");
    const toStop = this.#start("endless");
    const life = this.#lives;
    this.#stops.push(toStop.stopAfter(this.#random() * MAX_LIFE_MS, () => this.#lives === life));
  }

  /** @param {number | "endless"} pieces */
  #start(pieces) {
    const run = new RunCase(
      `http://127.0.0.1:${this.#port}/runs`,
      `r${this.cases.length}`,
      pieces,
      this.#random,
    );
    this.cases.push(run);
    return run;
  }

  /** @param {boolean} isLast */
  #serve(isLast) {
    this.#lives++;
    const start = { path: this.#path, port: this.#port, goesOn: this.#goesOn, isLast };
    return startWorker("runs-worker.js", start, (words) => this.#take(words));
  }

  /** @param {ReturnType<typeof startWorker>} server */
  async #kill(server) {
    this.#lives++;
    const fault = await server.kill();
    if (fault !== undefined) this.faults.push(fault);
  }

  /** What a server says. @param {string[]} words */
  #take([what, id = "", value = ""]) {
    const run = this.cases.find((each) => each.id === id);
    if (run === undefined) return;
    if (what === "begun" && run.begun++ === 0) run.join();
    // Who takes over begins with what was stored, which is less than what was about to be written.
    if (what === "writes") run.writes = Math.max(run.writes, Number(value));
    if (what === "acknowledged") run.acknowledged = Math.max(run.acknowledged, Number(value));
    if (what === "ended") {
      if (run.ended !== undefined && run.ended !== value) {
        this.faults.push(`${id}: ended as ${run.ended}, then as ${value}`);
      }
      run.ended = value;
    }
  }

  /**
   * @param {string} what
   * @param {() => boolean} isSo
   */
  async #until(what, isSo) {
    for (const end = performance.now() + PATIENCE_MS; !isSo(); await sleep(5)) {
      if (performance.now() < end) continue;
      this.faults.push(`waited in vain until ${what}`);
      return;
    }
  }
}
