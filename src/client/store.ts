import type { Defined, InvalidEventListener } from "../schema/index.ts";
import type { EventStream, StreamEvent, StreamEventOf } from "./event-stream.ts";
import { safely } from "./failure.ts";
import { createFrameTask } from "./frames.ts";
import type { Unsubscribe } from "./listeners.ts";
import { isFinal, type StreamStatus } from "./machine.ts";
import { createSubscribers } from "./subscribers.ts";

/** What a store shows: replaced by a new value when something changed, and never changed itself. */
export interface StreamSnapshot<S> {
  /** What the reducer made of all events up to now. */
  readonly data: S;
  readonly status: StreamStatus;
}

/** A stream's events reduced to a value that a user interface can show. Made for `useSyncExternalStore` and its like. */
export interface StreamStore<S> {
  /** The last published snapshot; the same value until the next one. */
  getSnapshot(): StreamSnapshot<S>;
  /** Calls `listener` after each new snapshot. The store takes events while it has listeners. */
  subscribe(listener: () => void): Unsubscribe;
}

/** How a store is made of events. */
export interface StreamStoreOptions<S, E extends Defined = undefined> {
  /**
   * What the events of a stream without `events` of its own are, made by `defineEvents`: so stores with different ones can
   * share a stream.
   */
  readonly events?: E | undefined;
  /** As the option of `openEventStream`. */
  readonly onInvalid?: InvalidEventListener | undefined;
  /** The value before the first event. */
  readonly initial: S;
  /**
   * Makes the next value of the last one and an event. Called once for every event, in their order, when it arrives.
   * One that throws is reported, and the event changes nothing.
   */
  readonly reduce: (data: S, event: StreamEventOf<E>) => S;
  /** Called with every event besides, for what is no value to show. */
  readonly onEvent?: ((event: StreamEventOf<E>) => void) | undefined;
}

/** Calls back: at once, or when it is time for what is more than a value. What the callback throws is reported. */
export type Tell = (callback: () => void) => void;

/**
 * Creates a store over a stream. However many events arrive, it publishes one snapshot a frame at most; a stream that
 * ends or fails is published at once, together with all that came before. It opens the stream with its first
 * listener, but does not close it.
 */
export function createStreamStore<S, E extends Defined = undefined>(
  stream: Pick<EventStream, "status" | "onEvent" | "onStatus">,
  options: StreamStoreOptions<S, E>,
): StreamStore<S> {
  return createLiveStore<S, E>(stream, options.initial, () => options, safely);
}

/**
 * The same with options that change.
 *
 * @param latest Asked for the functions at each event, and for all else now.
 * @param tell Calls `onEvent` and `onInvalid`.
 */
export function createLiveStore<S, E extends Defined>(
  stream: Pick<EventStream, "status" | "onEvent" | "onStatus">,
  initial: S,
  latest: () => StreamStoreOptions<S, E>,
  tell: Tell,
): StreamStore<S> {
  const { events, onInvalid } = latest();
  const read: (event: StreamEvent) => unknown =
    events?.reader(onInvalid && ((...args) => tell(() => latest().onInvalid?.(...args)))) ??
    ((event) => event);
  let data = initial;
  let snapshot: StreamSnapshot<S> = { data, status: stream.status };

  const publish = createFrameTask(() => {
    const { status } = stream;
    if (snapshot.data === data && snapshot.status === status) return;
    snapshot = { data, status };
    emit();
  });

  const attach = (): Unsubscribe => {
    const stopStatus = stream.onStatus((status) => {
      publish.request();
      if (isFinal(status)) publish.flush();
    });
    const stopEvents = stream.onEvent((raw) =>
      safely(() => {
        const event = read(raw) as StreamEventOf<E> | undefined;
        if (!event) return;
        tell(() => latest().onEvent?.(event));
        data = latest().reduce(data, event);
        publish.request();
      }),
    );
    // The stream may have moved on while nobody listened.
    publish.request();
    return () => {
      stopStatus();
      stopEvents();
      // Nobody hears of it, but whoever looks next sees all that was taken.
      publish.flush();
    };
  };

  const { subscribe, emit } = createSubscribers(attach);
  return { getSnapshot: () => snapshot, subscribe };
}
