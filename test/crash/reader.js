import { laneTopic } from "./scheme.js";
import { SocketClient } from "./socket-client.js";

/** A client that reads some of the lanes, as long as the test lasts. */
export class Reader {
  /** What came, in order, by lane. @type {Map<number, { n: number, id: string }[]>} */
  received = new Map();
  /** The data of every `sse:gap`. @type {string[]} */
  gaps = [];
  #client;

  /**
   * @param {number} port
   * @param {readonly number[]} lanes
   * @param {() => number} random
   */
  constructor(port, lanes, random) {
    this.lanes = lanes;
    const url = new URL(`http://127.0.0.1:${port}/`);
    for (const lane of lanes) url.searchParams.append("topic", laneTopic(lane));
    this.#client = new SocketClient(url, random, (event) => this.#take(event));
  }

  /** How many events it has. */
  get count() {
    return [...this.received.values()].reduce((sum, events) => sum + events.length, 0);
  }

  get connections() {
    return this.#client.connections;
  }

  close() {
    this.#client.close();
  }

  /** @param {import("everstream/protocol").ParsedEvent} event */
  #take({ event, data, lastEventId }) {
    if (event === "sse:gap") this.gaps.push(data);
    if (event !== "message") return;
    const [lane, n] = JSON.parse(data);
    let received = this.received.get(lane);
    if (received === undefined) {
      received = [];
      this.received.set(lane, received);
    }
    received.push({ n, id: lastEventId });
  }
}
