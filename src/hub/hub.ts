import { EverstreamError, invalidOption } from "../errors.ts";
import { formatPosition } from "../protocol/index.ts";
import type { Defined } from "../schema/index.ts";
import type { CloseReason } from "../session/close-reason.ts";
import { withinOf } from "../session/options.ts";
import { report } from "../session/report.ts";
import { followRequest } from "../session/request.ts";
import { WebSink } from "../session/web-sink.ts";
import { type CheckEvents, eventCheck } from "./check-events.ts";
import { type HubEvent, type PublishedEvent, storedEvents } from "./event.ts";
import { EventLoop } from "./event-loop.ts";
import type { Hub, HubStats, Unsubscribe } from "./hub-interface.ts";
import { type Listener, ListenerOutlet } from "./listener-outlet.ts";
import { type Live, openLive } from "./live.ts";
import type { AppendRequest, EventLog, StoredEvent } from "./log.ts";
import { Meter } from "./meter.ts";
import {
  assertObject,
  assertPublishId,
  assertReadOptions,
  assertSubscribeOptions,
  type HubOptions,
  type Limits,
  limitsOf,
  limitsOfRetention,
  type PublishOptions,
  type ReadOptions,
  type RespondOptions,
  retentionOf,
  type SubscribeOptions,
} from "./options.ts";
import { readTopic, type TopicPage } from "./read.ts";
import { type Opening, type OpeningHost, openSession, type RequestHead } from "./respond.ts";
import { type SessionFilter, Sessions } from "./sessions.ts";
import { slowPoliciesOf } from "./slow.ts";
import { Subscription } from "./subscription.ts";
import { Sweeper } from "./sweeper.ts";
import { assertTopic, topicSet } from "./topics.ts";
import { TurnShare } from "./turn-share.ts";

/** How long a `publishId` is remembered. */
const PUBLISH_ID_WINDOW_MS = 5 * 60 * 1000;

/** Makes a hub over a log. */
export function hubOver<E extends Defined>(log: EventLog, options?: Omit<HubOptions<E>, "log">): Hub<E> {
  return new LogHub(log, options) as Hub as Hub<E>;
}

class LogHub implements Hub, OpeningHost {
  readonly meter = new Meter(this);
  readonly sessions: Sessions;
  readonly openings = new TurnShare();
  closing = false;

  readonly #log: EventLog;
  readonly #limits: Limits;
  readonly #check: CheckEvents | undefined;
  readonly #slowPolicies: ReturnType<typeof slowPoliciesOf>;
  readonly #retention: ReturnType<typeof retentionOf>;
  readonly #subscriptions = new Set<Subscription>();
  #live: Live | undefined;
  #opening: Promise<Live> | undefined;
  #sweeper: Sweeper | undefined;
  #closed: Promise<void> | undefined;

  constructor(log: EventLog, options: Omit<HubOptions<Defined>, "log"> = {}) {
    if (typeof log?.open !== "function") {
      throw invalidOption("`log` must be a log, as `memoryLog()` and its like make one.");
    }
    if (options.limits !== undefined) assertObject("limits", options.limits);
    this.#log = log;
    this.#limits = limitsOf(options.limits);
    this.sessions = new Sessions(this.#limits, this.meter);
    this.#retention = retentionOf(options.retention);
    this.#check = eventCheck(options.events);
    this.#slowPolicies = slowPoliciesOf(options.slowConsumer, this.#limits.maxWaitingBytes);
  }

  get maxTopics(): number {
    return this.#limits.maxTopics;
  }

  publish(topic: string, event: PublishedEvent, options?: PublishOptions): Promise<string>;
  publish(topic: string, events: readonly PublishedEvent[], options?: PublishOptions): Promise<string[]>;
  async publish(
    topic: string,
    input: PublishedEvent | readonly PublishedEvent[],
    options: PublishOptions = {},
  ): Promise<string | string[]> {
    assertTopic(topic);
    assertObject("options", options);
    const { expectLast, publishId, finish = false, retention, unchecked = false } = options;
    assertPublishId(publishId);
    const inputs = Array.isArray(input) ? (input as readonly PublishedEvent[]) : undefined;
    const now = Date.now();
    const events = storedEvents(inputs ?? [input as PublishedEvent], this.#limits.maxEventBytes, now);
    const checking = unchecked ? undefined : this.#check?.(events);
    if (checking !== undefined) await checking;
    const live = this.#live ?? (await this.live());
    const ids = await this.#append(live, topic, {
      events,
      mark: finish ? "finish" : undefined,
      expectLast: sequenceExpected(live, topic, expectLast),
      publishId,
      now,
      ...(retention !== undefined && { retention: limitsOfRetention(retention) }),
    });
    const held = live.pressure(topic);
    if (held !== undefined) await held;
    return inputs === undefined ? (ids[0] as string) : ids.slice(0, events.length);
  }

  async finish(topic: string): Promise<string> {
    assertTopic(topic);
    const ids = await this.#append(await this.live(), topic, { mark: "finish" });
    return ids.at(-1) as string;
  }

  async delete(topic: string): Promise<void> {
    assertTopic(topic);
    await this.#append(await this.live(), topic, { mark: "delete" });
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
      topics: this.#live?.topicCount ?? 0,
      ...this.meter.counted,
    };
  }

  async close(options?: { within?: number }): Promise<void> {
    const withinMs = withinOf(options);
    this.#closed ??= this.#close(withinMs);
    await this.#closed;
  }

  live(): Promise<Live> {
    if (this.#live?.closed === true || (this.closing && this.#live === undefined)) {
      return Promise.reject(closedError());
    }
    this.#opening ??= this.#open();
    return this.#opening;
  }

  async #open(): Promise<Live> {
    try {
      const live = await openLive(this.#log, this.#slowPolicies, this.meter);
      this.#live = live;
      this.#sweeper = new Sweeper(live);
      return live;
    } catch (error) {
      // The next call tries again.
      this.#opening = undefined;
      throw error;
    }
  }

  /** Resolves to the positions of the events, then the mark's. */
  async #append(
    live: Live,
    topic: string,
    request: Partial<AppendRequest> & { events?: readonly StoredEvent[] },
  ): Promise<string[]> {
    if (live.closed) throw closedError();
    const start = this.meter.appendStart;
    const result = await live.connection.append({
      topic,
      events: [],
      mark: undefined,
      expectLast: undefined,
      publishId: undefined,
      publishIdWindowMs: PUBLISH_ID_WINDOW_MS,
      retention: this.#retention(topic),
      now: Date.now(),
      ...request,
    });
    if (!result.accepted) throw refusal(topic, result.reason);
    if (!result.repeated) this.meter.published(topic, request.events ?? [], start);
    const { sequences, epoch } = result;
    return sequences.map((sequence) =>
      epoch === undefined ? live.epochs.format(sequence) : formatPosition(epoch, sequence),
    );
  }

  /** The topics of a reader in this process; looked at before there is anything to take back. */
  #wanted(topics: string | readonly string[], options: SubscribeOptions): readonly string[] {
    const set = topicSet(topics, this.#limits.maxTopics);
    assertSubscribeOptions(options);
    if (this.closing) throw closedError();
    return set;
  }

  #begin(subscription: Subscription, set: readonly string[], options: SubscribeOptions): Promise<void> {
    this.#subscriptions.add(subscription);
    if (options.signal?.aborted === true) {
      subscription.end();
      return Promise.resolve();
    }
    const live = this.#live;
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

/** What `expectLast` means to the log. */
function sequenceExpected(
  live: Live,
  topic: string,
  expectLast: string | null | undefined,
): number | null | undefined {
  if (expectLast === undefined || expectLast === null) return expectLast;
  const cursor = typeof expectLast === "string" ? live.epochs.resolve(expectLast) : "invalid";
  if (typeof cursor === "number") return cursor;
  // What the caller has seen is gone: the topic is not what it was.
  if (cursor === "epoch") throw refusal(topic, "conflict");
  throw noPosition("expectLast", expectLast);
}

function noPosition(name: string, given: unknown): EverstreamError {
  return new EverstreamError(
    "INVALID_POSITION",
    `\`${name}\` is ${JSON.stringify(given)}, which is no position; give an event's id, or what hub.position() gave.`,
  );
}

function refusal(topic: string, reason: "finished" | "conflict"): EverstreamError {
  const name = JSON.stringify(topic);
  if (reason === "finished") {
    return new EverstreamError(
      "TOPIC_FINISHED",
      `The topic ${name} is finished; nothing can be published to it.`,
    );
  }
  return new EverstreamError(
    "CONFLICT",
    `The topic ${name} has moved on since the expected position; read what is new and decide again.`,
  );
}

function closedError(): EverstreamError {
  return new EverstreamError("HUB_CLOSED", "This hub was closed.");
}
