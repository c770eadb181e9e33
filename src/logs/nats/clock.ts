import { NoAnswer } from "./errors.ts";
import type { Link } from "./link.ts";
import { type ConsumerDelivery, deliveryOf, type StreamMessage, stampOf } from "./stream-message.ts";

/** After so many of its beats without a sign the clock is taken to be lost. */
const SILENT_BEATS = 2.5;
/** How long the server keeps the clock of a node that is gone, in heartbeats. */
const KEPT_BEATS = 15;
const CONTROL = 100;

const DIFFERS = "the stream's copies differ";

/**
 * Brings the headers of all messages of the stream, in order and without a hole, which is what tells a node that
 * something was lost on another way. A consumer that the server keeps in memory; where it skips something or falls
 * silent, the link is ended, and the next one has a clock of its own.
 */
export class Clock {
  /** The newest message that was brought, or was there before. */
  through: number;
  readonly #link: Link;
  readonly #heartbeatMs: number;
  readonly #take: (message: StreamMessage) => void;
  /** A message that is to come first, to show that this is a copy of the same stream. */
  #known: StreamMessage | undefined;
  /** When the newest message was taken. One copy may have stored some of its last messages for a second time, out of its own log. */
  #nanos = 0n;
  /** What has come meanwhile, while a message is verified. */
  #held: ConsumerDelivery[] | undefined;
  #order = 0;
  #signAt = performance.now();
  #timer: ReturnType<typeof setInterval> | undefined;
  #waiting: {
    readonly through: number;
    readonly resolve: () => void;
    readonly reject: (error: Error) => void;
  }[] = [];

  private constructor(
    link: Link,
    through: number,
    heartbeatMs: number,
    take: (message: StreamMessage) => void,
  ) {
    this.#link = link;
    this.through = through;
    this.#heartbeatMs = heartbeatMs;
    this.#take = take;
  }

  /** Starts behind `through`. */
  static async start(
    link: Link,
    options: ClockOptions,
    take: (message: StreamMessage) => void,
  ): Promise<Clock> {
    const clock = new Clock(link, options.through, options.heartbeatMs, take);
    clock.#known = options.known;
    const inbox = link.inbox("clock");
    const subscription = link.subscribe(inbox, (message) => {
      clock.#signAt = performance.now();
      const delivery = deliveryOf(message);
      if (delivery !== undefined) {
        clock.#onDelivery(delivery);
      } else if (message.headers?.code === CONTROL) {
        // Asked whether everything so far has arrived, so that no more is under way than can be taken.
        const stalled = message.headers.get("Nats-Consumer-Stalled");
        if (message.reply !== undefined && message.reply !== "") link.tell(message.reply);
        else if (stalled !== "") link.tell(stalled);
        else clock.#onIdle(Number(message.headers.get("Nats-Last-Consumer")));
      }
    });
    try {
      await link.ask("CONSUMER.CREATE.{stream}", consumerOf(inbox, options));
    } catch (error) {
      // It may come into being all the same.
      link.unsubscribe(subscription);
      throw error;
    }
    clock.#watch();
    link.onEnd(() => clock.#stop());
    return clock;
  }

  /** Resolves when the clock has brought everything through `sequence`. */
  reaches(sequence: number): Promise<void> {
    if (sequence <= this.through) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const { failure } = this.#link;
      if (failure === undefined) this.#waiting.push({ through: sequence, resolve, reject });
      else reject(new NoAnswer(failure.message));
    });
  }

  #onDelivery(delivery: ConsumerDelivery): void {
    if (delivery.order !== this.#order + 1) {
      this.#link.end(new Error("the stream's feed has skipped something"));
      return;
    }
    this.#order = delivery.order;
    if (this.#held !== undefined) this.#held.push(delivery);
    else this.#onNext(delivery);
  }

  #onNext(delivery: ConsumerDelivery): void {
    const { message } = delivery;
    if (this.#link.isCopied) {
      const nanos = BigInt(delivery.nanos);
      if (nanos <= this.#nanos && message.sequence > this.through) {
        this.#held = [];
        void this.#verify(delivery);
        return;
      }
      this.#nanos = nanos;
    }
    if (message.sequence === this.#known?.sequence && stampOf(message) === stampOf(this.#known)) {
      this.#known = undefined;
    }
    // A copy of the stream that is behind begins with what it has next, however much later it was asked to begin.
    if (message.sequence <= this.through) return;
    if (this.#known === undefined) this.#bring(message);
    else this.#link.end(new Error(DIFFERS));
  }

  /** A message that was taken before the one before it: by a server whose clock is behind, or it is in this copy for a second time. */
  async #verify({ message, nanos }: ConsumerDelivery): Promise<void> {
    let found: StreamMessage | undefined;
    try {
      found = await this.#link.getFromLeader({ seq: message.sequence });
    } catch (error) {
      this.#link.end(error as Error);
      return;
    }
    if (found === undefined || stampOf(found) !== stampOf(message) || this.#known !== undefined) {
      this.#link.end(new Error(DIFFERS));
      return;
    }
    this.#nanos = BigInt(nanos);
    this.#bring(message);
    const held = this.#held ?? [];
    this.#held = undefined;
    for (let next = held.shift(); next !== undefined; next = held.shift()) {
      this.#onNext(next);
      // That one is to be verified, too.
      if (this.#held !== undefined) {
        this.#held = held;
        return;
      }
    }
  }

  #bring(message: StreamMessage): void {
    if (this.#link.failure !== undefined) return;
    this.through = message.sequence;
    this.#take(message);
    if (this.#waiting.length > 0) this.#wake();
  }

  /** The server says how much it has sent. */
  #onIdle(sent: number): void {
    if (sent > this.#order) this.#link.end(new Error("the stream's feed has lost something"));
  }

  #wake(): void {
    const waiting = this.#waiting;
    this.#waiting = waiting.filter(({ through }) => through > this.through);
    for (const { through, resolve } of waiting) if (through <= this.through) resolve();
  }

  #watch(): void {
    this.#signAt = performance.now();
    let missed = 0;
    this.#timer = setInterval(() => {
      const silentMs = performance.now() - this.#signAt;
      // Where this process itself was held up, what has come meanwhile is yet to be read.
      missed = silentMs > this.#heartbeatMs * SILENT_BEATS ? missed + 1 : 0;
      if (missed > 1) this.#link.end(new Error("the server has fallen silent"));
    }, this.#heartbeatMs / 4);
  }

  #stop(): void {
    clearInterval(this.#timer);
    const why = this.#link.failure?.message ?? "the connection has ended";
    for (const { reject } of this.#waiting.splice(0)) reject(new NoAnswer(why));
  }
}

export interface ClockOptions {
  readonly stream: string;
  readonly subject: string;
  readonly through: number;
  /** The message there, as the stream's leader has it: another copy must have the same. */
  readonly known?: StreamMessage | undefined;
  readonly heartbeatMs: number;
}

function consumerOf(inbox: string, { stream, subject, through, known, heartbeatMs }: ClockOptions): object {
  const nanos = heartbeatMs * 1e6;
  return {
    stream_name: stream,
    config: {
      deliver_subject: inbox,
      deliver_policy: "by_start_sequence",
      opt_start_seq: known?.sequence ?? through + 1,
      filter_subject: subject,
      ack_policy: "none",
      max_deliver: 1,
      headers_only: true,
      idle_heartbeat: nanos,
      flow_control: true,
      mem_storage: true,
      num_replicas: 1,
      inactive_threshold: nanos * KEPT_BEATS,
    },
  };
}
