import type { Hub, RespondOptions } from "everstream";
import { createParser, type GapData, type ParsedEvent } from "everstream/protocol";
import type { Session } from "../../src/session/session.ts";
import type { SharedBytes, Sink } from "../../src/session/sink.ts";

/** A transport in memory that the test fills and drains by hand. */
export class MemorySink implements Sink {
  readonly serverClosing = false;
  pending = 0;
  full = false;
  writes = 0;
  /** Whether every write makes it full. */
  stalled = false;
  ended = false;
  /** The connection breaks after so many bytes more, wherever in a frame that is. */
  cutAfter = Number.POSITIVE_INFINITY;
  readonly #session: Session;
  readonly #onBytes: (bytes: Uint8Array) => void;
  #held: Uint8Array[] = [];

  constructor(session: Session, onBytes: (bytes: Uint8Array) => void) {
    this.#session = session;
    this.#onBytes = onBytes;
  }

  writeText(text: string): number {
    const bytes = new TextEncoder().encode(text);
    this.#write(bytes);
    return bytes.length;
  }

  writeShared(shared: SharedBytes): void {
    this.#write(shared.bytes);
  }

  end(): void {
    this.ended = true;
    if (this.pending === 0) this.#session.onSinkClose("disconnected");
  }

  destroy(): void {
    this.ended = true;
    this.#session.onSinkClose("disconnected");
  }

  /** The client takes what is pending, and from now on everything unless it stalls again. */
  drain(): void {
    const held = this.#held;
    this.#held = [];
    this.pending = 0;
    this.full = false;
    for (const bytes of held) this.#onBytes(bytes);
    if (this.ended) this.#session.onSinkClose("disconnected");
    else this.#session.onSinkDrain();
  }

  #write(bytes: Uint8Array): void {
    this.writes++;
    if (bytes.length >= this.cutAfter) {
      const rest = bytes.subarray(0, this.cutAfter);
      this.cutAfter = 0;
      if (!this.ended && rest.length > 0) this.#onBytes(rest);
      this.destroy();
      return;
    }
    this.cutAfter -= bytes.length;
    if (this.stalled) {
      this.#held.push(bytes);
      this.pending += bytes.length;
      this.full = true;
    } else {
      this.#onBytes(bytes);
    }
  }
}

/** What a session's client has got, as a client of the standard sees it. */
export class TestClient {
  /** Events but for checkpoints; gaps and ends are among them. */
  readonly events: ParsedEvent[] = [];
  readonly comments: string[] = [];
  readonly checkpoints: string[] = [];
  lastEventId = "";
  retry: number | undefined;
  readonly session: Session;
  readonly sink: MemorySink;
  #check: (() => void) | undefined;

  constructor(session: Session) {
    this.session = session;
    const parser = createParser({
      onEvent: (event) => this.#take(event),
      onComment: (comment) => this.comments.push(comment),
      onRetry: (ms) => {
        this.retry = ms;
      },
    });
    this.sink = new MemorySink(session, (bytes) => {
      parser.push(bytes);
      this.lastEventId = parser.lastEventId;
      this.#check?.();
    });
    session.onClose(() => queueMicrotask(() => this.#check?.()));
  }

  attach(): this {
    this.session.attach(this.sink);
    return this;
  }

  /** The data of all events, without gaps and ends. */
  get data(): string[] {
    return this.events.filter(({ event }) => !event.startsWith("sse:")).map(({ data }) => data);
  }

  get gaps(): GapData[] {
    return this.events.filter(({ event }) => event === "sse:gap").map(({ data }) => JSON.parse(data));
  }

  /** Resolves as soon as `condition` holds. It is looked at whenever bytes have come, and at the end. */
  until(condition: (client: this) => boolean): Promise<void> {
    return new Promise((resolve) => {
      this.#check = () => {
        if (condition(this)) resolve();
      };
      this.#check();
    });
  }

  leave(): void {
    this.session.end("disconnected", { destroy: true });
  }

  #take(event: ParsedEvent): void {
    if (event.event === "sse:live") this.checkpoints.push(event.lastEventId);
    else this.events.push(event);
  }
}

export interface ConnectOptions extends RespondOptions {
  lastEventId?: string | undefined;
  url?: string;
}

/** Opens a session whose sink is not attached yet. */
export async function openClient(hub: Hub, options: ConnectOptions): Promise<TestClient> {
  const { lastEventId, url = "/events", ...rest } = options;
  const header = (name: string) => (name === "last-event-id" ? lastEventId : undefined);
  const opening = await hub.open({ method: "GET", url, header }, rest);
  if (opening.kind !== "stream") throw new Error(`The hub answered with ${opening.status}.`);
  return new TestClient(opening.session);
}

/** Opens a session and attaches its sink. */
export async function connect(hub: Hub, options: ConnectOptions): Promise<TestClient> {
  return (await openClient(hub, options)).attach();
}

/** `count` events that say their number, from `from` on. */
export function numbered(count: number, from = 0): { data: number }[] {
  return Array.from({ length: count }, (_, index) => ({ data: from + index }));
}

/** The numbers from `from` on, as the data of events from {@link numbered}. */
export function numbers(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, index) => String(from + index));
}
