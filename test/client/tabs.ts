// Several tabs in one process: what browsers have for them, as far as it matters, and streams that share.
import { type EventStreamOptions, openEventStream, type StreamEvent } from "everstream/client";
import { afterAll, beforeEach, vi } from "vitest";
import type { TabMessage } from "../../src/client/share-wire.ts";
import { closing, reached, record, type TestServer } from "./server.ts";

interface LockRequest {
  readonly name: string;
  readonly hold: () => Promise<void> | undefined;
  readonly settle: (error?: Error) => void;
}

/** Web Locks as far as one process needs them. */
class Locks {
  readonly #held = new Map<string, LockRequest>();
  #pending: LockRequest[] = [];
  refuses = false;

  request(
    name: string,
    { signal, steal = false }: { signal?: AbortSignal; steal?: boolean },
    hold: LockRequest["hold"],
  ): Promise<void> {
    if (this.refuses) return Promise.reject(new DOMException("Denied", "SecurityError"));
    return new Promise((resolve, reject) => {
      const request = { name, hold, settle: (error?: Error) => (error ? reject(error) : resolve()) };
      signal?.addEventListener("abort", () => {
        this.#pending = this.#pending.filter((other) => other !== request);
        if (this.#held.get(name) !== request) reject(new DOMException("Aborted", "AbortError"));
      });
      if (steal) {
        this.#held.get(name)?.settle(new DOMException("Stolen", "AbortError"));
        this.#held.delete(name);
        this.#pending.unshift(request);
      } else this.#pending.push(request);
      this.#grant(name);
    });
  }

  async query(): Promise<{ held: LockRequest[]; pending: LockRequest[] }> {
    return { held: [...this.#held.values()], pending: [...this.#pending] };
  }

  /** Who holds a lock, or waits for one. */
  get count(): number {
    return this.#held.size + this.#pending.length;
  }

  #grant(name: string): void {
    const next = this.#pending.find((request) => request.name === name);
    if (next === undefined || this.#held.has(name)) return;
    this.#pending = this.#pending.filter((other) => other !== next);
    this.#held.set(name, next);
    // A browser never calls back at once.
    setImmediate(async () => {
      if (this.#held.get(name) === next) await next.hold();
      next.settle();
      if (this.#held.get(name) !== next) return;
      this.#held.delete(name);
      this.#grant(name);
    });
  }
}

/** A channel that can lose messages, or be slow to hear them. */
export class Channel extends BroadcastChannel {
  static readonly all: Channel[] = [];
  /** Whether a message does not arrive. */
  loses: (message: TabMessage) => boolean = () => false;
  lagMs = 0;

  constructor(name: string) {
    super(name);
    Channel.all.push(this);
  }

  override set onmessage(listener: (event: MessageEvent) => void) {
    this.addEventListener("message", (event) => {
      if (this.loses((event as MessageEvent<TabMessage>).data)) return;
      if (this.lagMs > 0) setTimeout(listener, this.lagMs, event);
      else listener(event as MessageEvent);
    });
  }
}

/** What this process has in place of a browser, new for each test. */
export const tabs = { locks: new Locks(), window: new EventTarget() };

/** To be called once by each file of tests. */
export function stubTabs(): void {
  beforeEach(() => {
    tabs.locks = new Locks();
    tabs.window = new EventTarget();
    Channel.all.length = 0;
    vi.stubGlobal("navigator", { locks: tabs.locks });
    vi.stubGlobal("BroadcastChannel", Channel);
    vi.stubGlobal("addEventListener", tabs.window.addEventListener.bind(tabs.window));
  });
  // Not after each test: streams are closed after that.
  afterAll(() => void vi.unstubAllGlobals());
}

export const FAST = { share: true, minDelay: 1, maxDelay: 5 };

export interface Tab {
  readonly stream: ReturnType<typeof openEventStream>;
  readonly data: ReturnType<typeof record<string>>;
  readonly channel: Channel;
}

/** A stream as another tab would have it; resolves once it has its part. */
export async function openTab(server: TestServer, options: EventStreamOptions = FAST): Promise<Tab> {
  const stream = closing(openEventStream(server.url, options));
  const data = record<string>();
  stream.onEvent(({ data: text }: StreamEvent) => data.add(text));
  await reached(stream, "open");
  return { stream, data, channel: Channel.all.at(-1) as Channel };
}

/** The next message of that kind which any tab tells the others. */
export function told(kind: TabMessage["kind"]): Promise<void> {
  const channel = new BroadcastChannel(Channel.all[0]?.name ?? "");
  return new Promise((resolve) => {
    channel.addEventListener("message", (event) => {
      if ((event as MessageEvent<TabMessage>).data.kind !== kind) return;
      channel.close();
      resolve();
    });
  });
}

/** How a server writes its events: each with its number as data. */
export type Writing = (number: number) => string;

export const withIds: Writing = (number) => `id: e${number}\ndata: ${number}\n\n`;
export const withoutIds: Writing = (number) => `data: ${number}\n\n`;
/** The id of the first is that of all. */
export const withOneId: Writing = (number) => `${number === 1 ? "id: x\n" : ""}data: ${number}\n\n`;

export function events(from: number, to: number, write = withIds): string {
  return numbers(from, to).map(Number).map(write).join("");
}

export function numbers(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, index) => String(from + index));
}
