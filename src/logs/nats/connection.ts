import { EverstreamError, isEverstreamError } from "../../errors.ts";
import type {
  AppendRequest,
  AppendResult,
  Epoch,
  LogConnection,
  LogFeed,
  Page,
  ReadQuery,
} from "../../hub/log.ts";
import { nextTurn } from "../next-turn.ts";
import { Collector, type Trimmed } from "./collector.ts";
import type { Dialer } from "./dialer.ts";
import { failureOf, isPassing, lateFailure, logFailed, NoAnswer } from "./errors.ts";
import { Feed } from "./feed.ts";
import { lastSequenceOf } from "./names.ts";
import type { NatsSettings } from "./options.ts";
import { readPage } from "./read.ts";
import type { Session } from "./session.ts";
import { Writer, type WriterHost } from "./writer.ts";

const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 2000;
const SWEEP_MS = 1000;

interface Waiting {
  readonly resolve: (session: Session) => void;
  readonly reject: (error: unknown) => void;
  readonly timer: ReturnType<typeof setTimeout>;
}

/** A hub's connection to its stream, over as many links as it takes. */
export class NatsConnection implements LogConnection, WriterHost {
  readonly settings: NatsSettings;
  readonly head: number;
  epochs: readonly Epoch[];
  closed = false;
  lastFailure: unknown;
  #horizon = Number.NEGATIVE_INFINITY;
  readonly #dialer: Dialer;
  readonly #feed: Feed;
  readonly #writer: Writer;
  readonly #collector: Collector;
  #session: Session | undefined;
  #before: Session;
  readonly #waiting = new Set<Waiting>();
  #closing: Promise<void> | undefined;
  readonly #timers: ReturnType<typeof setInterval>[] = [];
  /** How long the next try to reach a server waits. */
  #retryMs = 0;
  #wakeUp: () => void = () => undefined;

  private constructor(settings: NatsSettings, dialer: Dialer, feed: LogFeed, session: Session) {
    this.settings = settings;
    this.#dialer = dialer;
    this.#feed = new Feed(feed, settings.unfollowMs);
    this.#writer = new Writer(this);
    this.#collector = new Collector(settings);
    this.epochs = session.epochs;
    this.head = session.head;
    this.#before = session;
    this.#timers.push(setInterval(() => this.#sweep(), SWEEP_MS));
    this.#timers.push(setInterval(() => void this.#check(), settings.checkMs));
    this.#begin(session, false);
  }

  static async open(settings: NatsSettings, dialer: Dialer, feed: LogFeed): Promise<NatsConnection> {
    const deadline = performance.now() + settings.timeoutMs;
    for (let wait = FIRST_RETRY_MS; ; wait = Math.min(MAX_RETRY_MS, wait * 2)) {
      try {
        return new NatsConnection(settings, dialer, feed, await dialer.session(undefined));
      } catch (error) {
        // A server may be starting, as the node is. What does not suit the log will not be other in a moment.
        const mayPass = settings.waits && isEverstreamError(error, "LOG_FAILED");
        if (!mayPass || performance.now() + wait > deadline) throw error;
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
  }

  get session(): Session | undefined {
    return this.#session;
  }

  /** The time through which events are over their age, by this node's account and by the others'. */
  horizonIn(session: Session): number {
    return Math.max(this.#horizon, session.horizon);
  }

  append(request: AppendRequest): Promise<AppendResult> {
    if (this.closed) return Promise.reject(closedError());
    return this.#writer.append(request);
  }

  read(query: ReadQuery): Promise<Page> {
    return this.#ask("read", (session) =>
      readPage({ session, horizonOf: () => this.horizonIn(session) }, query),
    );
  }

  async follow(topic: string): Promise<number> {
    if (this.closed) throw closedError();
    this.#feed.follow(topic);
    // Asked over the link that the topic is followed on, so that the server knows of that before it answers.
    return this.#ask("follow a topic", async (session) => {
      const newest = await session.newest();
      const refusal = this.#feed.refusalOf(topic);
      if (refusal !== undefined) throw refusal;
      return lastSequenceOf(newest);
    });
  }

  unfollow(topic: string): void {
    this.#feed.unfollow(topic);
  }

  async expire(now: number): Promise<void> {
    if (this.closed) throw closedError();
    this.#horizon = Math.max(this.#horizon, now);
    const session = this.#session;
    if (session === undefined) return;
    session.topics.expireIds(now);
    try {
      await this.#collector.expire(session, this.#horizon);
    } catch (error) {
      if (!isPassing(error)) throw failureOf(error, "remove what is over its age");
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  ready(deadline: number): Promise<Session> {
    if (this.closed) return Promise.reject(closedError());
    const session = this.#session;
    if (session !== undefined && session.link.failure === undefined) return Promise.resolve(session);
    return new Promise((resolve, reject) => {
      // Who has given up is not to be kept in mind, nor served, however long it takes.
      const timer = setTimeout(() => {
        this.#waiting.delete(waiting);
        reject(new NoAnswer("there was no connection in time"));
      }, deadline - performance.now());
      const waiting: Waiting = { resolve, reject, timer };
      this.#waiting.add(waiting);
    });
  }

  #release(settle: (waiting: Waiting) => void): void {
    for (const waiting of this.#waiting) {
      clearTimeout(waiting.timer);
      settle(waiting);
    }
    this.#waiting.clear();
  }

  onTrimmed(trimmed: Trimmed): void {
    this.#collector.onTrimmed(trimmed);
  }

  /**
   * Asks the server, over another link where one ends meanwhile, as long as there is time. What was asked in one epoch is
   * not answered in another.
   */
  async #ask<Answer>(what: string, work: (session: Session) => Promise<Answer>): Promise<Answer> {
    const { timeoutMs } = this.settings;
    const deadline = performance.now() + timeoutMs;
    const { epochs } = this;
    for (;;) {
      if (this.closed) throw closedError();
      const left = deadline - performance.now();
      const late = (): EverstreamError =>
        lateFailure(
          `The NATS server did not answer within ${timeoutMs} ms: could not ${what}.`,
          this.lastFailure,
        );
      if (left <= 0) throw late();
      try {
        const session = await this.ready(deadline);
        const answer = await within(deadline - performance.now(), work(session), late);
        if (this.closed) throw closedError();
        if (this.epochs === epochs) {
          this.lastFailure = undefined;
          return answer;
        }
      } catch (error) {
        if (this.closed) throw closedError();
        if (!isPassing(error)) throw failureOf(error, what);
        const wait = Math.min(FIRST_RETRY_MS, deadline - performance.now());
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
      if (this.epochs !== epochs) {
        throw logFailed(`The NATS log's epoch has changed while it was asked to ${what}: ask again.`);
      }
    }
  }

  /** The feed, and then everybody who waits, goes on with this session. */
  #begin(session: Session, isNewEpoch: boolean): void {
    const { link } = session;
    if (isNewEpoch) this.epochs = session.epochs;
    this.#session = session;
    this.#feed.begin(session, isNewEpoch ? session.epochs : undefined);
    this.#release(({ resolve }) => resolve(session));
    const since = performance.now();
    link.onEnd(() => {
      this.#session = undefined;
      this.lastFailure = link.failure;
      this.#before = session;
      this.#writer.onOffline();
      // What does not last is not tried again at once, over and over.
      if (performance.now() - since > MAX_RETRY_MS) this.#retryMs = 0;
      if (!this.closed) void this.#reconnect();
    });
  }

  async #reconnect(): Promise<void> {
    while (!this.closed) {
      if (this.#retryMs > 0) await this.#pause(this.#retryMs * (0.5 + Math.random() / 2));
      if (this.closed) return;
      this.#retryMs = Math.min(MAX_RETRY_MS, Math.max(FIRST_RETRY_MS, this.#retryMs * 2));
      try {
        const session = await this.#dialer.session(this.#before);
        if (this.closed) {
          session.link.end(closedError());
          return;
        }
        const isNewEpoch = session.epochs.at(-1)?.epoch !== this.epochs.at(-1)?.epoch;
        // The hub is told of another epoch in a turn in which it was not answered anything before.
        if (isNewEpoch) await new Promise<void>((resolve) => nextTurn(resolve));
        if (this.closed) session.link.end(closedError());
        else this.#begin(session, isNewEpoch);
        return;
      } catch (error) {
        this.lastFailure = error;
      }
    }
  }

  /** Waits, if the log is not closed before. */
  #pause(timeMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, timeMs);
      this.#wakeUp = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #sweep(): void {
    this.#feed.sweep();
    if (this.#session !== undefined) this.#collector.collect(this.#session);
  }

  /** Looks whether the clock still brings what there is. */
  async #check(): Promise<void> {
    const session = this.#session;
    if (session === undefined) return;
    const before = session.clock.through;
    try {
      const newest = await session.newest();
      await new Promise((resolve) => setTimeout(resolve, Math.min(this.settings.checkMs, SWEEP_MS)));
      const isStuck = session.clock.through === before && newest > before;
      if (isStuck) session.link.end(new Error("the stream's feed is behind"));
    } catch {
      // Nobody answers at the moment. What ended the link, if it has ended, says more.
    }
  }

  async #close(): Promise<void> {
    this.closed = true;
    for (const timer of this.#timers) clearInterval(timer);
    this.#wakeUp();
    this.#feed.stop();
    this.#writer.close(closedError());
    this.#release(({ reject }) => reject(closedError()));
    this.#session?.link.end(closedError());
    await this.#writer.idle();
    await this.#dialer.close();
  }
}

function closedError(): EverstreamError {
  return new EverstreamError("LOG_CLOSED", "The connection to the NATS log was closed.");
}

function within<Result>(timeMs: number, work: Promise<Result>, late: () => Error): Promise<Result> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(late()), timeMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
