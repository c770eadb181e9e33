import { useEffect, useMemo, useRef } from "react";
import {
  createStreamStore,
  type EventSchemas,
  type EventStream,
  type InvalidEventListener,
  type StreamEventOf,
  type StreamState,
  type StreamStatus,
} from "../client/index.ts";
import type { StreamRequest } from "./request.ts";
import { useLeasedStore } from "./use-leased-store.ts";

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
}

/** What `useEventStream` gives. */
export interface EventStreamResult<S> {
  readonly data: S;
  /** Where the connection stands; `failure` says why there is none. */
  readonly status: StreamStatus;
  /** Opens a stream that has failed or ended again, after the last event. Does nothing with any other. */
  readonly reopen: () => void;
}

const IDLE: StreamStatus = /* @__PURE__ */ Object.freeze({ state: "idle" satisfies StreamState, attempt: 0 });

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
  const { initial, enabled = true, select = identity as (data: S) => R, equals = Object.is } = options;
  const latest = useRef(options);
  // Before the subscription, an effect too, so that no event meets the functions of an earlier render.
  useEffect(() => {
    latest.current = options;
  });
  const createStore = (stream: EventStream, data: S) =>
    createStreamStore<S, E>(stream, {
      initial: data,
      events: latest.current.events,
      ...(latest.current.onInvalid && {
        onInvalid: (error, event) => latest.current.onInvalid?.(error, event),
      }),
      reduce: (value, event) => latest.current.reduce(value, event),
      onEvent: (event) => latest.current.onEvent?.(event),
    });
  const hook = { initial, createStore };
  const { snapshot, reopen } = useLeasedStore(request, hook, enabled, { select, equals });
  const { data, status } = snapshot;
  return useMemo(() => ({ data, status: enabled ? status : IDLE, reopen }), [data, status, enabled, reopen]);
}

/** Where a stream's connection stands, without its events: renders only when that changes. It opens the stream, too. */
export function useEventStreamStatus(request: StreamRequest | null): StreamStatus {
  return useEventStream(request, STATUS_ONLY).status;
}

/** Shows a value as it is. */
export function identity<T>(value: T): T {
  return value;
}

const STATUS_ONLY: UseEventStreamOptions<null> = { initial: null, reduce: () => null };
