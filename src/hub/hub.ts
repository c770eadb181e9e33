import { invalidOption } from "../errors.ts";
import { assertOptions, assertRequest, type NamesOf } from "../input.ts";
import type { Defined } from "../schema/index.ts";
import type { CloseReason } from "../session/close-reason.ts";
import { withinOf } from "../session/options.ts";
import { report } from "../session/report.ts";
import { followRequest } from "../session/request.ts";
import { WebSink } from "../session/web-sink.ts";
import { hubClosed, noPosition } from "./errors.ts";
import type { HubEvent, PublishedEvent } from "./event.ts";
import { EventLoop } from "./event-loop.ts";
import type { Hub, HubStats, Unsubscribe } from "./hub-interface.ts";
import { type Listener, ListenerOutlet } from "./listener-outlet.ts";
import { type Live, openLive } from "./live.ts";
import type { EventLog } from "./log.ts";
import { Meter } from "./meter.ts";
import {
  assertReadOptions,
  assertSubscribeOptions,
  type HubOptions,
  type Limits,
  limitsOf,
  type PublishOptions,
  type ReadOptions,
  type RespondOptions,
  type SubscribeOptions,
} from "./options.ts";
import { Publisher, type PublisherHost } from "./publisher.ts";
import { readTopic, type TopicPage } from "./read.ts";
import { type Opening, type OpeningHost, openSession, type RequestHead } from "./respond.ts";
import { type SessionFilter, Sessions } from "./sessions.ts";
import { slowPoliciesOf } from "./slow.ts";
import { Subscription } from "./subscription.ts";
import { Sweeper } from "./sweeper.ts";
import { assertTopic, topicSet } from "./topics.ts";
import { TurnShare } from "./turn-share.ts";

const HUB_NAMES: NamesOf<HubOptions> = {
  log: true,
  events: true,
  retention: true,
  limits: true,
  slowConsumer: true,
};

/**
 * Makes a hub over the log that the options have, or else one that is made for it.
 *
 * @throws EverstreamError `INVALID_OPTION`.
 */
export function hubOver<E extends Defined>(options: HubOptions<E>, makeLog: () => EventLog): Hub<E> {
  assertOptions("options", options, HUB_NAMES);
  const { log = makeLog() } = options;
  return new LogHub(log, options) as Hub as Hub<E>;
}

class LogHub implements Hub, OpeningHost, PublisherHost {
  readonly meter = new Meter(this);
  readonly sessions: Sessions;
  readonly openings = new TurnShare();
  closing = false;
  opened: Live | undefined;

  readonly #log: EventLog;
  readonly #limits: Limits;
  readonly #publisher: Publisher;
  readonly #slowPolicies: ReturnType<typeof slowPoliciesOf>;
  readonly #subscriptions = new Set<Subscription>();
  #opening: Promise<Live> | undefined;
  #sweeper: Sweeper | undefined;
  #closed: Promise<void> | undefined;

  constructor(log: EventLog, options: HubOptions<Defined>) {
    if (typeof log?.open !== "function") {
      throw invalidOption("`log` must be a log, as `memoryLog()` and its like make one.");
    }
    this.#log = log;
    this.#limits = limitsOf(options.limits);
    this.sessions = new Sessions(this.#limits, this.meter);
    this.#publisher = new Publisher(this, this.#limits, options);
    this.#slowPolicies = slowPoliciesOf(options.slowConsumer, this.#limits.maxWaitingBytes);
  }

  get maxTopics(): number {
    return this.#limits.maxTopics;
  }

  publish(topic: string, event: PublishedEvent, options?: PublishOptions): Promise<string>;
  publish(topic: string, events: readonly PublishedEvent[], options?: PublishOptions): Promise<string[]>;
  publish(
    topic: string,
    input: PublishedEvent | readonly PublishedEvent[],
    options?: PublishOptions,
  ): Promise<string | string[]> {
    return this.#publisher.publish(topic, input, options);
  }

  finish(topic: string): Promise<string> {
    return this.#publisher.finish(topic);
  }

  delete(topic: string): Promise<void> {
    return this.#publisher.delete(topic);
  }

  async read(topic: string, options: ReadOptions = {}): Promise<TopicPage> {
    assertTopic(topic);
    assertReadOptions(options);
    const live = await this.live();
    return live.inOneEpoch(() => readTopic(live, topic, options));
  }

  subscribe(
    topics: string | readonly string[],
    listener: Listener,
    options: SubscribeOptions = {},
  ): Unsubscribe {
    if (typeof listener !== "function")
      throw invalidOption("`listener` must be a function, which is called with each event.");
    const set = this.#wanted(topics, options);
    const outlet: ListenerOutlet = new ListenerOutlet(listener, () => subscription.end());
    const subscription = new Subscription(outlet, options.signal, (ended) => {
      outlet.end();
      this.#subscriptions.delete(ended);
    });
    const ready = this.#begin(subscription, set, options);
    ready.catch((error: unknown) => {
      const isWanted = !subscription.ended;
      subscription.end();
      if (isWanted) report("A subscription could not begin", error);
    });
    return Object.assign(() => subscription.end(), { ready });
  }

  events(
    topics: string | readonly string[],
    options: SubscribeOptions = {},
  ): AsyncIterableIterator<HubEvent, undefined, undefined> {
    const set = this.#wanted(topics, options);
    const loop = new EventLoop();
    const subscription = new Subscription(loop, options.signal, (ended) => {
      loop.finish();
      this.#subscriptions.delete(ended);
    });
    loop.onRoom = () => subscription.wake();
    loop.onLeave = () => subscription.end();
    this.#begin(subscription, set, options).catch((error: unknown) => {
      loop.fail(error);
      subscription.end();
    });
    return loop;
  }

  open(head: RequestHead, options: RespondOptions): Promise<Opening> {
    return openSession(this, head, options);
  }

  async respond(request: Request, options: RespondOptions): Promise<Response> {
    assertRequest(request);
    const { method, url, headers } = request;
    const opening = await this.open({ method, url, header: (name) => headers.get(name) }, options);
    if (opening.kind === "response") {
      return new Response(opening.body, { status: opening.status, headers: opening.headers });
    }
    const { session } = opening;
    const sink = new WebSink(session);
    const response = new Response(sink.stream, { headers: opening.headers });
    session.attach(sink);
    followRequest(session, request);
    return response;
  }

  async position(): Promise<string> {
    const { connection, epochs } = await this.live();
    const { head } = await connection.read({ topics: [], after: 0, maxEntries: 0, maxBytes: 0 });
    return epochs.format(head);
  }

  async outlived(position: string): Promise<boolean> {
    const { connection, epochs } = await this.live();
    if (epochs.resolve(position) === "invalid") throw noPosition("position", position);
    return connection.exclusive === true && !epochs.isCurrent(position);
  }

  disconnect(filter: SessionFilter, reason: CloseReason = "kicked"): number {
    return this.sessions.disconnect(filter, reason);
  }

  stats(): HubStats {
    return {
      sessions: this.sessions.size,
      subscriptions: this.#subscriptions.size,
      topics: this.opened?.topicCount ?? 0,
      ...this.meter.counted,
    };
  }

  async close(options?: { within?: number }): Promise<void> {
    const withinMs = withinOf(options);
    this.#closed ??= this.#close(withinMs);
    await this.#closed;
  }

  live(): Promise<Live> {
    if (this.opened?.closed === true || (this.closing && this.opened === undefined)) {
      return Promise.reject(hubClosed());
    }
    this.#opening ??= this.#open();
    return this.#opening;
  }

  async #open(): Promise<Live> {
    try {
      const live = await openLive(this.#log, this.#slowPolicies, this.meter);
      this.opened = live;
      this.#sweeper = new Sweeper(live);
      return live;
    } catch (error) {
      // The next call tries again.
      this.#opening = undefined;
      throw error;
    }
  }

  /** The topics of a reader in this process; looked at before there is anything to take back. */
  #wanted(topics: string | readonly string[], options: SubscribeOptions): readonly string[] {
    const set = topicSet(topics, this.#limits.maxTopics);
    assertSubscribeOptions(options);
    if (this.closing) throw hubClosed();
    return set;
  }

  #begin(subscription: Subscription, set: readonly string[], options: SubscribeOptions): Promise<void> {
    this.#subscriptions.add(subscription);
    if (options.signal?.aborted === true) {
      subscription.end();
      return Promise.resolve();
    }
    const live = this.opened;
    if (live === undefined) return this.live().then((opened) => subscription.begin(opened, set, options));
    try {
      return Promise.resolve(subscription.begin(live, set, options));
    } catch (error) {
      subscription.end();
      throw error;
    }
  }

  async #close(withinMs: number): Promise<void> {
    this.closing = true;
    await this.meter.draining(this.sessions.size, withinMs, () => this.sessions.drain(withinMs));
    for (const subscription of [...this.#subscriptions]) subscription.end();
    const live = await this.#opening?.catch(() => undefined);
    // An opening that was under way has made it.
    this.#sweeper?.stop();
    await live?.close();
  }
}
