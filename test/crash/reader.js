import { get } from "node:http";
import { createParser } from "everstream/protocol";
import { laneTopic } from "./scheme.js";

/** How long it waits before it comes back, at the most: less than clients of the real world, so that more happens. */
const MAX_PAUSE_MS = 30;

/**
 * A client over a socket, as the standard wants it: keeps the last event ID, comes back with it whenever the connection
 * ends, and goes on. Some connections it drops itself, anywhere.
 */
export class Reader {
  /** What came, in order, by lane. @type {Map<number, { n: number, id: string }[]>} */
  received = new Map();
  /** The data of every `sse:gap`. @type {string[]} */
  gaps = [];
  connections = 0;
  /** @type {string | undefined} */
  #lastEventId;
  #closed = false;
  #url;
  #random;
  /** @type {import("node:http").ClientRequest | undefined} */
  #request;

  /**
   * @param {number} port
   * @param {readonly number[]} lanes
   * @param {() => number} random
   */
  constructor(port, lanes, random) {
    this.lanes = lanes;
    this.#url = new URL(`http://127.0.0.1:${port}/`);
    for (const lane of lanes) this.#url.searchParams.append("topic", laneTopic(lane));
    this.#random = random;
    this.#connect();
  }

  /** How many events it has. */
  get count() {
    return [...this.received.values()].reduce((sum, events) => sum + events.length, 0);
  }

  close() {
    this.#closed = true;
    this.#request?.destroy();
  }

  #connect() {
    const headers = this.#lastEventId === undefined ? {} : { "Last-Event-ID": this.#lastEventId };
    const request = get(this.#url, { headers, agent: false });
    this.#request = request;
    request.on("response", (response) => {
      this.connections++;
      const parser = createParser({
        onEvent: (event) => this.#take(event),
      });
      response.on("data", (chunk) => {
        if (this.#closed) return;
        parser.push(chunk);
        if (this.#random() < 0.01) request.destroy();
      });
    });
    // Whatever became of it, `close` follows.
    request.on("error", () => undefined);
    request.on("close", () => {
      if (!this.#closed) setTimeout(() => this.#closed || this.#connect(), this.#random() * MAX_PAUSE_MS);
    });
  }

  /** @param {import("everstream/protocol").ParsedEvent} event */
  #take({ event, data, lastEventId }) {
    if (lastEventId !== "") this.#lastEventId = lastEventId;
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
