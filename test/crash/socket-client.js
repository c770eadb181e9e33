import { get } from "node:http";
import { createParser } from "everstream/protocol";

/** How long it waits before it comes back, at the most: less than clients of the real world, so that more happens. */
const MAX_PAUSE_MS = 30;

/**
 * A client over a socket, as the standard wants it: keeps the last event ID, comes back with it whenever the connection
 * ends, and goes on until it is told 204. Some connections it drops itself, anywhere.
 */
export class SocketClient {
  connections = 0;
  /** Whether it was told that there is nothing more. */
  isOver = false;
  /** Answers that were neither a stream nor the end, by status. @type {Map<number, number>} */
  refusals = new Map();
  /** @type {string | undefined} */
  #lastEventId;
  #closed = false;
  #url;
  #random;
  #onEvent;
  /** @type {import("node:http").ClientRequest | undefined} */
  #request;

  /**
   * @param {URL} url
   * @param {() => number} random
   * @param {(event: import("everstream/protocol").ParsedEvent) => void} onEvent
   */
  constructor(url, random, onEvent) {
    this.#url = url;
    this.#random = random;
    this.#onEvent = onEvent;
    this.#connect();
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
      const { statusCode = 0 } = response;
      if (statusCode === 200) this.#read(response);
      else if (statusCode === 204) this.#end();
      else {
        this.refusals.set(statusCode, (this.refusals.get(statusCode) ?? 0) + 1);
        response.resume();
      }
    });
    // Whatever became of it, `close` follows.
    request.on("error", () => undefined);
    request.on("close", () => {
      if (!this.#closed) setTimeout(() => this.#closed || this.#connect(), this.#random() * MAX_PAUSE_MS);
    });
  }

  /** @param {import("node:http").IncomingMessage} response */
  #read(response) {
    this.connections++;
    const parser = createParser({
      onEvent: (event) => {
        if (event.lastEventId !== "") this.#lastEventId = event.lastEventId;
        this.#onEvent(event);
      },
    });
    response.on("data", (chunk) => {
      if (this.#closed) return;
      parser.push(chunk);
      if (this.#random() < 0.01) this.#request?.destroy();
    });
  }

  #end() {
    this.isOver = true;
    this.close();
  }
}
