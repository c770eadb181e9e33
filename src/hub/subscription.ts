import type { Audience } from "./audience.ts";
import type { Live } from "./live.ts";
import type { SubscribeOptions } from "./options.ts";
import type { Outlet } from "./outlet.ts";
import { Reader } from "./reader.ts";
import type { ReaderStart } from "./recipient.ts";
import { findStart, startNow } from "./start.ts";

/** A reader inside this process, from the moment it is asked for until it is no longer wanted. */
export class Subscription {
  readonly #outlet: Outlet;
  readonly #onEnd: (subscription: Subscription) => void;
  readonly #signal: AbortSignal | undefined;
  readonly #end = (): void => this.end();
  #reader: Reader | undefined;
  #ended = false;

  constructor(outlet: Outlet, signal: AbortSignal | undefined, onEnd: (subscription: Subscription) => void) {
    this.#outlet = outlet;
    this.#onEnd = onEnd;
    this.#signal = signal;
    signal?.addEventListener("abort", this.#end, { once: true });
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Begins to read. Where the log answers at once and no past is asked for, it has begun when this returns. */
  begin(live: Live, topics: readonly string[], options: SubscribeOptions): Promise<void> | undefined {
    const audience = live.join(topics);
    if (audience instanceof Promise) return this.#beginLater(live, topics, audience, options);
    return this.#beginAt(live, audience, options);
  }

  /** There is room again. */
  wake(): void {
    this.#reader?.wake();
  }

  /** Ends it. May be called twice. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#signal?.removeEventListener("abort", this.#end);
    this.#reader?.leave();
    this.#onEnd(this);
  }

  async #beginLater(
    live: Live,
    topics: readonly string[],
    first: Promise<Audience>,
    options: SubscribeOptions,
  ): Promise<void> {
    let joining: Promise<Audience> | undefined = first;
    const audience = await live.inOneEpoch(
      () => {
        const joined = joining ?? live.join(topics);
        joining = undefined;
        return joined;
      },
      (held) => held.release(),
    );
    await this.#beginAt(live, audience, options);
  }

  #beginAt(
    live: Live,
    audience: Audience,
    { after, from = "now" }: SubscribeOptions,
  ): Promise<void> | undefined {
    if (after === undefined && from === "now") {
      this.#read(audience, startNow(audience));
      return undefined;
    }
    return this.#beginInPast(live, audience, { after, from });
  }

  async #beginInPast(live: Live, audience: Audience, { after, from }: SubscribeOptions): Promise<void> {
    let start: Awaited<ReturnType<typeof findStart>>;
    try {
      start = await live.inOneEpoch(() => findStart(live, audience, after, from));
    } catch (error) {
      audience.release();
      throw error;
    }
    for (const gap of start.gaps) {
      if (this.#ended) break;
      audience.meter.gap(gap);
      this.#outlet.tellGap(gap);
    }
    this.#read(audience, start);
  }

  #read(audience: Audience, start: ReaderStart): void {
    if (!this.#ended) {
      this.#reader = new Reader(audience, this.#outlet, start);
      this.#reader.wake();
    }
    audience.release();
  }
}
