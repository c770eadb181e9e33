// A hub behind real sockets, publishers, and an account of what was published.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createHub, type EventLog, type From, type Hub, isEverstreamError, type Retention } from "everstream";
import { streamTopics } from "everstream/node";
import { formatPosition } from "everstream/protocol";
import { onTestFinished } from "vitest";
import { Account, type Grant, Received } from "./account.ts";
import { readRaw } from "./raw-client.ts";

/** Every client reads it; its only event is the last one published. */
const END_TOPIC = "end";
const KEEP_ALL: Retention = { maxEvents: 1e6, maxBytes: 1e9 };

export interface WorldOptions {
  readonly log: EventLog;
  /** Logs of further nodes: what is published, and who reads, is spread over all of them. */
  readonly others?: readonly EventLog[];
  /** Whether publishing may fail, which is then repeated. */
  readonly isFaulty?: boolean;
  /** The log to go on with after a restart. */
  readonly reopen?: () => Promise<EventLog>;
  readonly retention?: Retention;
  /** Default: of a log that loses nothing. */
  readonly account?: Account;
  readonly random: () => number;
  /** What a client may read now; asked at each opening. `past` has positions that were given out. */
  readonly grantsOf: (client: number, past: readonly string[]) => readonly Grant[];
}

export class World {
  readonly account: Account;
  readonly topics: readonly string[];
  readonly options: WorldOptions;
  hub: Hub;
  port = 0;
  /** What the server granted at the latest opening of each client. */
  readonly granted = new Map<number, readonly Grant[]>();
  connections = 0;
  readonly #past: string[] = [];
  readonly #others: readonly Hub[];

  constructor(topics: readonly string[], options: WorldOptions) {
    this.topics = topics;
    this.options = options;
    this.account = options.account ?? new Account();
    this.hub = this.#createHub(options.log);
    this.#others = (options.others ?? []).map((log) => this.#createHub(log));
  }

  /** Any of the nodes. */
  get #anyHub(): Hub {
    if (this.#others.length === 0) return this.hub;
    const hubs = [this.hub, ...this.#others];
    return hubs[Math.floor(this.options.random() * hubs.length)] as Hub;
  }

  async listen(): Promise<void> {
    const server = createServer((request, response) => this.#answer(request, response));
    await new Promise<void>((resolve) => server.listen({ port: 0, backlog: 4096 }, resolve));
    this.port = (server.address() as AddressInfo).port;
    onTestFinished(async () => {
      await Promise.all([this.hub, ...this.#others].map((hub) => hub.close()));
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    });
  }

  /** Publishes `count` events to topics by chance, in bursts of several publishers, and then the end. */
  async publish(count: number, restarts = 0): Promise<void> {
    const { random } = this.options;
    const every = Math.ceil(count / (restarts + 1));
    let number = 0;
    while (number < count) {
      const burst = Math.min(1 + Math.floor(random() * 6), count - number);
      const restarting = Math.floor((number + burst) / every) > Math.floor(number / every);
      const publishing = Array.from({ length: burst }, () => this.#publishOne(number++));
      if (restarting && number < count) await this.restart();
      await Promise.all(publishing);
      for (let turns = Math.floor(random() * 8); turns > 0; turns--) await turn();
      if (random() < 0.05) this.hub.disconnect(() => random() < 0.1);
    }
    await this.#publishEnd();
  }

  /** Publishes in bursts at a measured pace, for as long as `isOn` says, and then the end. */
  async publishWhile(isOn: () => boolean): Promise<void> {
    const { random } = this.options;
    for (let number = 0; isOn(); ) {
      const burst = 1 + Math.floor(random() * 6);
      await Promise.all(Array.from({ length: burst }, () => this.#publishOne(number++)));
      await new Promise((resolve) => setTimeout(resolve, random() * 20));
    }
    await this.#publishEnd();
  }

  /** A client of bare sockets, which is cut off all the time. Resolves with what it got over each connection. */
  async readRaw(client: number, cutAfter: () => number): Promise<Received[]> {
    const { random } = this.options;
    const parts: Received[] = [];
    let cursor = "";
    let done = false;
    while (!done) {
      const received = new Received([], cursor);
      this.granted.delete(client);
      const isDone = () => received.events.at(-1)?.data === '"end"';
      const reset = random() < 0.5;
      await readRaw({ port: this.port, path: `/${client}`, cutAfter: cutAfter(), reset, isDone }, received);
      done = isDone();
      // What the client had asked for may have gone unheard.
      const grants = this.granted.get(client) ?? [];
      parts.push(Object.assign(new Received(grants, cursor), { ...received, grants }));
      cursor = received.lastId;
      for (let turns = Math.floor(random() * 5); turns > 0; turns--) await turn();
    }
    return parts;
  }

  /** To be filled with what a client got over all of its connections together, from the start on. */
  receiver(client: number): Received {
    const received = new Received([...this.options.grantsOf(client, []), { topic: END_TOPIC }]);
    return Object.assign(received, { opened: formatPosition(1, 0) });
  }

  /** Closes the first node, and opens another in its place. */
  async restart(): Promise<void> {
    await this.hub.close();
    const log = await this.options.reopen?.();
    if (log !== undefined) this.hub = this.#createHub(log);
  }

  async #publishEnd(): Promise<void> {
    const id = await this.#publishSurely(END_TOPIC, "end", "end");
    this.account.add(END_TOPIC, id, JSON.stringify("end"));
    this.account.close();
  }

  async #publishOne(number: number): Promise<void> {
    const { topics, options } = this;
    const topic = topics[Math.floor(options.random() * topics.length)] as string;
    const text = "é".repeat(Math.floor(options.random() * 60));
    const data = { number, topic, text };
    const id = await this.#publishSurely(topic, data, `p${number}`);
    this.account.add(topic, id, JSON.stringify(data));
    this.#past.push(id);
  }

  async #publishSurely(topic: string, data: unknown, publishId: string): Promise<string> {
    for (;;) {
      try {
        return await this.#anyHub.publish(topic, { data }, { publishId });
      } catch (error) {
        // Closed meanwhile, or cut off; whether this was stored is for its name to tell.
        const isExpected = isEverstreamError(error, "HUB_CLOSED") || this.options.isFaulty === true;
        if (!isExpected) throw error;
        await turn();
      }
    }
  }

  #createHub(log: EventLog): Hub {
    return createHub({ log, retention: this.options.retention ?? KEEP_ALL });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    if (request.url === "/page") {
      response.writeHead(200, { "content-type": "text/html" }).end("<!doctype html>");
      return;
    }
    this.connections++;
    const client = Number(request.url?.slice(1));
    const grants = [...this.options.grantsOf(client, this.#past), { topic: END_TOPIC }];
    this.granted.set(client, grants);
    response.setHeader("Access-Control-Allow-Origin", "*");
    // Each response is its connection's first: a network that cuts after some bytes then never cuts a header, of which
    // Chromium takes what there is for the whole, misses the type or the origin, and has the EventSource closed for good.
    response.setHeader("Connection", "close");
    const authorize = () => ({ topics: grants });
    // A first opening is told nothing of what was trimmed before it, so that all can be accounted for only from the newest on.
    const from: From = this.options.retention === undefined ? "start" : { last: 1 };
    const options = { topics: END_TOPIC, authorize, from, heartbeat: false as const, retry: 1 };
    streamTopics(request, response, this.#anyHub, options).catch(() => response.destroy());
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
