import type { GapReason } from "../protocol/index.ts";
import type { Defined } from "../schema/index.ts";
import type { CloseReason } from "../session/close-reason.ts";
import type { RefusalReason } from "./diagnostics.ts";
import type { HubEventOf, PublishedEventOf } from "./event.ts";
import type { Listener } from "./listener-outlet.ts";
import type { PublishOptions, ReadOptions, RespondOptions, SubscribeOptions } from "./options.ts";
import type { TopicPage } from "./read.ts";
import type { Opening, RequestHead } from "./respond.ts";
import type { SessionFilter } from "./sessions.ts";

/** Ends a subscription; may be called twice. */
export type Unsubscribe = (() => void) & {
  /** Resolves once no event published from then on can be missed. Rejects where the log can't be read. */
  readonly ready: Promise<void>;
};

/** What a hub counts, since it was made where nothing else is said. */
export interface HubStats {
  /** Open now. */
  readonly sessions: number;
  /** Subscriptions and loops that are open now. */
  readonly subscriptions: number;
  /** Topics that somebody here reads now. */
  readonly topics: number;
  /** Events that the log has accepted from this hub. */
  readonly published: number;
  /**
   * Events handed over, once for each reader; what a client may not see is not among them. Where the past is told in
   * fewer words, those that were published count.
   */
  readonly delivered: number;
  /** How often a topic's policy for slow readers left events out, once for each reader that it held for. */
  readonly dropped: number;
  /** Sessions that ended, by reason. */
  readonly closed: Readonly<Partial<Record<CloseReason, number>>>;
  /** Requests for a session that were refused, by reason. */
  readonly refused: Readonly<Partial<Record<RefusalReason, number>>>;
  /** Gaps that readers were told of, by reason. */
  readonly gaps: Readonly<Record<GapReason, number>>;
}

/**
 * A log and its live side. Everything published here stands in one order; topics are filters on it.
 *
 * Methods that answer with a promise reject with an `EverstreamError`: `HUB_CLOSED` after `close`, `LOG_FAILED` where the
 * log can't do its work, and what each says itself.
 */
export interface HubOf<Published, Received> {
  /**
   * Publishes an event, and resolves to its id when the log has accepted it. It may take a moment longer while readers
   * are being written to faster than they can be, so that a loop that awaits it goes at their pace, not ahead of it.
   *
   * @throws EverstreamError `INVALID_TOPIC`; `INVALID_EVENT`, `RESERVED_TYPE`, `NOT_SERIALIZABLE`, `EVENT_TOO_LARGE` for the
   *   event; `UNKNOWN_TYPE`, `INVALID_DATA` where the hub's `events` do not allow it; `CONFLICT`, `INVALID_POSITION` for `expectLast`; `TOPIC_FINISHED`; `INVALID_OPTION`.
   */
  publish(topic: string, event: Published, options?: PublishOptions): Promise<string>;
  /** Publishes up to 1,000 events next to each other, all or none. Resolves to their ids. */
  publish(topic: string, events: readonly Published[], options?: PublishOptions): Promise<string[]>;

  /**
   * Says that nothing more will come: publishing there is refused from now on, and readers whose topics are all finished
   * end when they have everything. Doing it again changes nothing. Resolves to the position of the end.
   *
   * @throws EverstreamError `INVALID_TOPIC`.
   */
  finish(topic: string): Promise<string>;
  /**
   * Erases a topic: its events, and that it was finished. Readers get an `sse:gap` (`deleted`), then whatever is published
   * from then on.
   *
   * @throws EverstreamError `INVALID_TOPIC`.
   */
  delete(topic: string): Promise<void>;

  /**
   * Calls `listener` with every event of the topics, in order. An event of the type `sse:gap` says that events are
   * missing. What the listener throws or rejects with is reported and hurts nobody else; nobody waits for it.
   *
   * @throws EverstreamError `INVALID_TOPIC`, `TOO_MANY_TOPICS`, `INVALID_OPTION`, `HUB_CLOSED`.
   */
  subscribe(
    topics: string | readonly string[],
    listener: Listener<Received>,
    options?: SubscribeOptions,
  ): Unsubscribe;
  /**
   * The same for a `for await` loop, from this call on. A slow loop holds nobody up and loses nothing that the log keeps.
   * It ends when its topics are all finished; leaving it, or the signal, unsubscribes.
   *
   * @throws EverstreamError as `subscribe`.
   */
  events(
    topics: string | readonly string[],
    options?: SubscribeOptions,
  ): AsyncIterableIterator<Received, undefined, undefined>;

  /**
   * Answers a request with the topics' events: those after the cursor that the client came with, then live ones. A client
   * that comes back with its cursor at the end of topics that are all finished gets 204. Refusals are JSON with `error`
   * and `code`: 400 for bad topics, 403 and 500 as the options' `authorize` says, 429 and 503 for too many sessions.
   *
   * @throws EverstreamError `INVALID_OPTION`, `INVALID_EVENT`, `RESERVED_TYPE` for the options.
   */
  respond(request: Request, options: RespondOptions): Promise<Response>;
  /** What `respond` does for any server: decides, and leaves the sending to the caller. */
  open(head: RequestHead, options: RespondOptions): Promise<Opening>;

  /**
   * What is kept of a topic, a page at a time: for code that needs the past and nothing live.
   *
   * @throws EverstreamError `INVALID_TOPIC`, `INVALID_POSITION`, `INVALID_OPTION`.
   */
  read(topic: string, options?: ReadOptions): Promise<TopicPage<Received>>;
  /**
   * Whether the process that published at this position is surely gone: the log is one process' alone, and another had it
   * then. `false` where nobody can tell.
   *
   * @throws EverstreamError `INVALID_POSITION`.
   */
  outlived(position: string): Promise<boolean>;
  /** The head of the log. Take it, read your state, then subscribe after it: nothing is missed in between. */
  position(): Promise<string>;

  /**
   * Ends the sessions that fit, as `kicked` where no other reason is given. Returns how many.
   *
   * @throws EverstreamError `INVALID_OPTION` for a filter that names nothing, or has something that is not there, as
   *   `{ key: user?.id }` may: it ends nobody. `() => true` ends all.
   */
  disconnect(filter: SessionFilter, reason?: CloseReason): number;
  stats(): HubStats;
  /**
   * Takes no more sessions, ends the open ones in good order over `within` milliseconds (default 0), each with a time of
   * its own to come back, then ends subscriptions and lets go of the log. May be called twice.
   *
   * @throws EverstreamError `INVALID_OPTION` for `within`: nothing was done.
   */
  close(options?: { within?: number }): Promise<void>;
}

/** A hub; `E` are the events that it was made with, see `defineEvents`. One with events goes wherever a hub is wanted. */
export type Hub<E extends Defined = undefined> = HubOf<PublishedEventOf<E>, HubEventOf<E>>;
