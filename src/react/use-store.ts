import { useContext, useEffect, useSyncExternalStore } from "react";
import { toError } from "../client/failure.ts";
import {
  createLeasedStore,
  createStreamStore,
  type EventSchemas,
  type EventStream,
  type LeasedStore,
  type StreamRequest,
  type StreamStore,
  type StreamStoreOptions,
} from "../client/index.ts";
import { keyOf, leaseStream, toOptions } from "../client/stream-request.ts";
import { ScopeContext } from "./provider.ts";
import type { AwaitedSource, awaitFirst } from "./suspense.ts";
import { useKept, useLatest } from "./use-kept.ts";

/** How a hook takes events. Functions are the latest; what else there is, is read when the stream is opened. */
export interface StoreOptions<S, E extends EventSchemas | undefined> extends StreamStoreOptions<S, E> {
  /** Whether the component waits for the first event, as React's Suspense understands it. */
  readonly suspense?: boolean | undefined;
  /** Where all components on a stream find one store, so that one which comes later shows what the others show. */
  readonly stores?: WeakMap<EventStream, StreamStore<S>> | undefined;
}

/**
 * The store over the scope's stream for `request`, for as long as the component is mounted.
 * `null` opens nothing. A request that differs in value begins anew from `initial`.
 */
export function useStore<S, E extends EventSchemas | undefined>(
  request: StreamRequest | null,
  options: StoreOptions<S, E>,
): LeasedStore<S> {
  const scope = useContext(ScopeContext);
  const latest = useLatest(options);
  // What the server has rendered is shown as it is, and not taken away again to wait for events.
  const mayWait = useSyncExternalStore<unknown>(subscribeToNothing, () => options.suspense, doNothing);
  // Defaults may have changed since the rendering.
  const ask = () => toOptions(request as StreamRequest, scope.defaults);
  const key = keyOf(ask());
  const held = useKept(key, scope.registry, () => {
    const { initial, stores } = options;
    const held = { ask } as { ask: typeof ask; store: LeasedStore<S> };
    const source: AwaitedSource<S> = {
      initial,
      linger: ask().linger,
      acquire: (terms) => leaseStream(scope.registry, key, () => held.ask(), terms),
      createStore(stream, data, tell = call) {
        const { events, onInvalid } = latest.current;
        const store =
          stores?.get(stream) ??
          createStreamStore<S, E>(stream, {
            initial: data,
            events,
            onInvalid: onInvalid && ((...args) => tell(() => latest.current.onInvalid?.(...args))),
            reduce: (value, event) => latest.current.reduce(value, event),
            onEvent: (event) => tell(() => latest.current.onEvent?.(event)),
          });
        stores?.set(stream, store);
        return store;
      },
    };
    const beginning = mayWait && request !== null ? suspend(scope, key, source, toError) : source;
    held.store = createLeasedStore(beginning.initial, beginning);
    return held;
  });
  // Before the subscription to the store, an effect of the caller's, which reads it.
  useEffect(() => {
    held.ask = ask;
  });
  return held.store;
}

let loading: Promise<void> | undefined;

/** Until it is loaded it is the loading that is waited for. */
let suspend: typeof awaitFirst = () => {
  loading ??= import("./suspense.ts").then(
    ({ awaitFirst }) => {
      suspend = awaitFirst;
    },
    (error) => {
      suspend = () => {
        throw error;
      };
    },
  );
  throw loading;
};

export function subscribeToNothing(): () => void {
  return doNothing;
}

export function doNothing(): void {
  // There is nothing to do.
}

function call(callback: () => void): void {
  callback();
}
