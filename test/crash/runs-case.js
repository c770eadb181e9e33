import { setTimeout as sleep } from "node:timers/promises";
import { joinRun, startRun } from "everstream/client";
import { SocketClient } from "./socket-client.js";

/** Clients of the real world wait longer. */
const QUICK = { minDelay: 20, maxDelay: 100 };

/** What a client over a socket was sent of a run. */
class SocketReader {
  text = "";
  endings = 0;
  /** The data of every `sse:gap`. @type {string[]} */
  gaps = [];
  #client;

  /**
   * @param {string} url
   * @param {() => number} random
   */
  constructor(url, random) {
    this.#client = new SocketClient(new URL(url), random, (event) => this.#take(event));
  }

  get client() {
    return this.#client;
  }

  /** @param {import("everstream/protocol").ParsedEvent} event */
  #take({ event, data }) {
    if (event === "token") this.text += JSON.parse(data).content;
    if (event === "done" || event === "error") this.endings++;
    if (event === "sse:gap") this.gaps.push(data);
  }
}

/** One run: what was said of it by the server that had it, and those who read it. */
export class RunCase {
  /** How many pieces its producers said they were about to write. */
  writes = 0;
  /** How many the log acknowledged. */
  acknowledged = 0;
  /** How many processes produced it. */
  begun = 0;
  /** The state that the server said it had ended in. @type {string | undefined} */
  ended;
  /** Whether somebody asked for its end, and whether a server said that it will come. */
  stop = { asked: false, granted: false };
  /** @type {import("everstream/client").FollowedRun[]} */
  followers = [];
  /** @type {SocketReader[]} */
  sockets = [];
  #url;
  #random;

  /**
   * @param {string} url Where the runs are.
   * @param {string} id
   * @param {number | "endless"} pieces
   * @param {() => number} random
   */
  constructor(url, id, pieces, random) {
    this.id = id;
    this.pieces = pieces;
    this.#url = url;
    this.#random = random;
    this.followers.push(startRun(url, { ...QUICK, id, input: { pieces } }));
  }

  get isOver() {
    return this.followers.every(({ snapshot }) => isOver(snapshot)) && this.sockets.every(isTold);
  }

  /** How much its readers over sockets have, all together. */
  get received() {
    return this.sockets.reduce((sum, { text }) => sum + text.length, 0);
  }

  /** Has others read it, too, from its start. */
  join() {
    this.followers.push(joinRun(this.#url, this.id, QUICK));
    this.sockets.push(new SocketReader(`${this.#url}/${this.id}`, this.#random));
  }

  /**
   * Asks once, and only the server that has the run now: the next one may have ended it by then, and grants anything.
   *
   * @param {number} delayMs
   * @param {() => boolean} isAlive Whether that server still lives.
   */
  async stopAfter(delayMs, isAlive) {
    await sleep(delayMs);
    if (!isAlive()) return;
    this.stop.asked = true;
    try {
      const { ok } = await fetch(`${this.#url}/${this.id}`, { method: "DELETE" });
      this.stop.granted = ok;
    } catch {
      // Killed before it answered, so that nothing was promised.
    }
  }

  close() {
    for (const follower of this.followers) follower.close();
    for (const { client } of this.sockets) client.close();
  }
}

/** @param {import("everstream/client").RunSnapshot} snapshot */
function isOver({ state }) {
  return state !== "starting" && state !== "running";
}

/** @param {SocketReader} reader */
function isTold({ client }) {
  return client.isOver;
}
