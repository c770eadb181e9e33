// A server of numbered events for tabs on a virtual clock.
import type { VirtualClock, VirtualTab } from "./virtual-tabs.ts";

/** How a server writes its events, each with its number as data, and what it knows of who comes back. */
export interface Dialect {
  readonly name: string;
  event(number: number): string;
  /** The id of an event; `undefined` where there are none, so that nothing is sent again. */
  id?(number: number): string;
  /** What stands at the place of an id. */
  numberOf?(id: string): number;
  /** A block that tells how far everything is delivered, and shows nothing. */
  checkpoint?(number: number): string;
}

const position = (number: number): string => `1-${number.toString(36)}`;

export const HUB: Dialect = {
  name: "positions of a hub",
  id: position,
  event: (number) => `id: ${position(number)}\ndata: ${number}\n\n`,
  numberOf: (id) => Number.parseInt(id.slice(2), 36),
  checkpoint: (number) => `event: sse:live\nid: ${position(number)}\ndata:\n\n`,
};

export const FOREIGN: Dialect = {
  name: "ids of a foreign server",
  id: (number) => `e${number}`,
  event: (number) => `id: e${number}\ndata: ${number}\n\n`,
  numberOf: (id) => Number(id.slice(1)),
};

export const NONE: Dialect = { name: "no ids", event: (number) => `data: ${number}\n\n` };

interface Connection {
  readonly tab: VirtualTab;
  write(text: string): void;
  cut(): void;
}

export class VirtualServer {
  last = 0;
  /** Whether an answer is an error, and what its Retry-After says. */
  fails: () => string | undefined = () => undefined;
  readonly #dialect: Dialect;
  readonly #clock: VirtualClock;
  readonly #random: () => number;
  readonly #connections = new Set<Connection>();

  constructor(dialect: Dialect, clock: VirtualClock, random: () => number) {
    this.#dialect = dialect;
    this.#clock = clock;
    this.#random = random;
  }

  /** Connections to tabs that are alive. */
  get connections(): number {
    return [...this.#connections].filter(({ tab }) => !tab.isKilled).length;
  }

  publish(count: number): void {
    const from = this.last + 1;
    this.last += count;
    for (const connection of this.#connections) connection.write(this.#events(from));
  }

  tellPositions(): void {
    for (const { write } of this.#connections) write(this.#dialect.checkpoint?.(this.last) ?? ": \n\n");
  }

  cutAll(): void {
    for (const { cut } of [...this.#connections]) cut();
  }

  #events(from: number): string {
    let text = "";
    for (let number = from; number <= this.last; number++) text += this.#dialect.event(number);
    return text;
  }

  /** The `fetch` of one tab. */
  fetchOf(tab: VirtualTab): typeof fetch {
    return (_, { headers, signal } = {}) =>
      new Promise((resolve, reject) => {
        if (tab.isKilled) return;
        const retryAfter = this.fails();
        const abort = (): void => reject(new DOMException("Aborted", "AbortError"));
        if (signal?.aborted) abort();
        signal?.addEventListener("abort", abort);
        this.#clock.after(this.#random() * 50, () => {
          if (signal?.aborted || tab.isKilled) return;
          if (retryAfter !== undefined) {
            const init = { status: 503, headers: retryAfter === "" ? {} : { "Retry-After": retryAfter } };
            tab.enter(() => resolve(new Response("no", init)));
            return;
          }
          const response = this.#connect(tab, new Headers(headers).get("Last-Event-ID"), signal);
          tab.enter(() => resolve(response));
        });
      });
  }

  #connect(tab: VirtualTab, cursor: string | null, signal: AbortSignal | null | undefined): Response {
    const { numberOf, checkpoint } = this.#dialect;
    let controller: ReadableStreamDefaultController<Uint8Array> | undefined;
    const body = new ReadableStream<Uint8Array>({
      start(own) {
        controller = own;
      },
    });
    let dueAt = 0;
    const later = (task: () => void): void => {
      dueAt = Math.max(this.#clock.now + this.#random() * 50, dueAt);
      this.#clock.after(dueAt - this.#clock.now, () => {
        if (!signal?.aborted) tab.enter(() => signal?.aborted || task());
      });
    };
    const connection: Connection = {
      tab,
      write: (text) => later(() => controller?.enqueue(new TextEncoder().encode(text))),
      cut: () => {
        this.#connections.delete(connection);
        later(() => controller?.error(new TypeError("Cut")));
      },
    };
    this.#connections.add(connection);
    signal?.addEventListener("abort", () => this.#connections.delete(connection));
    connection.write(": everstream heartbeat=15000\n\n");
    if (cursor !== null && numberOf) connection.write(this.#events(numberOf(cursor) + 1));
    if (checkpoint) connection.write(checkpoint(this.last));
    return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  }
}
