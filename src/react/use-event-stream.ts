import { useSyncExternalStore } from "react";
import type {
  EventSchemas,
  InvalidEventListener,
  StreamEventOf,
  StreamRequest,
  StreamSnapshot,
  StreamStatus,
} from "../client/index.ts";
import { IDLE } from "../client/machine.ts";
import { doNothing } from "./use-kept.ts";
import { subscribeToNothing, useStore } from "./use-store.ts";

/** How a component takes events. Functions may be written in place; the latest are used. */
export interface UseEventStreamOptions<S, E extends EventSchemas | undefined = undefined, R = S> {
  /**
   * What the events are, made by `defineEvents`: their data is parsed and validated, and only the types that are defined
   * are handed out. Default: all events, with their data as text. Read when the stream is opened.
   */
  readonly events?: E | undefined;
  /** Told of an event whose data is not what its schema wants. Default: the first of each type is reported. */
  readonly onInvalid?: InvalidEventListener | undefined;
  /** The value before the first event. Read when the component is mounted and when the request changes. */
  readonly initial: S;
  /** Makes the next value of the last one and an event. Called once for every event, outside of rendering. */
  readonly reduce: (data: S, event: StreamEventOf<E>) => S;
  /** What of the value is shown: the component renders for changes of that alone, and of the status. Default: all of it. */
  readonly select?: ((data: S) => R) | undefined;
  /** Whether two of what `select` gives are the same, so that there is nothing to render. Default `Object.is`. */
  readonly equals?: ((a: R, b: R) => boolean) | undefined;
  /** Called with every event besides. */
  readonly onEvent?: ((event: StreamEventOf<E>) => void) | undefined;
  /** `false` gives the stream back and keeps what was received; with `true` it goes on from there. Default `true`. */
  readonly enabled?: boolean | undefined;
  /**
   * `true` lets the component wait for the first event in the nearest `<Suspense>` when it is mounted, or its request
   * changes; a connection that fails before that goes to the error boundary as an `EverstreamError`. On a server, and for
   * what the server has rendered, `initial` is shown all the same. `reduce` has to be pure then: what has come by the first
   * rendering is reduced in it. Default `false`.
   */
  readonly suspense?: boolean | undefined;
}

/** What `useEventStream` gives. */
export interface EventStreamResult<S> {
  readonly data: S;
  /** Where the connection stands; `failure` says why there is none. */
  readonly status: StreamStatus;
  /** Opens a stream that has failed or ended again, after the last event. Does nothing with any other. */
  readonly reopen: () => void;
}

/**
 * The events of a stream, reduced to a value. It renders at most once a frame, however many events arrive, and loses
 * none. Components with an equal request share one connection; each has its own value, of the events since it was
 * mounted. `null` opens no stream.
 */
export function useEventStream<S, E extends EventSchemas | undefined = undefined, R = S>(
  request: StreamRequest | null,
  options: UseEventStreamOptions<S, E, R>,
): EventStreamResult<R> {
  // Without `select`, what is shown is the value.
  const { select = (data: unknown) => data as R, equals = Object.is } = options;
  const [store, isOn] = useStore<S, E>(request, options);
  // The same value for as long as nothing changes that counts, also by another `select` than before.
  const getShown = () => {
    const of = store.getSnapshot();
    const [lastOf, lastBy, before] = (store.shown ?? []) as Shown<R> | [];
    const status = isOn ? of.status : IDLE;
    const isSame = before?.status === status;
    if (isSame && lastOf === of && lastBy === select) return before;
    const selected = select(of.data);
    const isEqual = before && equals(before.data, selected);
    const shown = isSame && isEqual ? before : { data: isEqual ? before.data : selected, status };
    store.shown = [of, select, shown];
    return shown;
  };
  return {
    ...useSyncExternalStore(isOn ? store.subscribe : subscribeToNothing, getShown, getShown),
    reopen: store.reopen,
  };
}

/** What was shown last, and of which snapshot, by which `select` it was made. */
type Shown<R> = readonly [of: unknown, by: unknown, shown: StreamSnapshot<R>];

/** Where a stream's connection stands, without its events: renders only when that changes. It opens the stream, too. */
export function useEventStreamStatus(request: StreamRequest | null): StreamStatus {
  return useEventStream(request, STATUS_ONLY).status;
}

/** For hooks that show no value. */
export const STATUS_ONLY = { initial: undefined, reduce: doNothing };
