import { useContext, useSyncExternalStore } from "react";
import { toError } from "../client/failure.ts";
import {
  createLeasedStore,
  type EventSchemas,
  type EventStream,
  type LeasedStore,
  type StreamRequest,
  type StreamStore,
  type StreamStoreOptions,
} from "../client/index.ts";
import { createLiveStore } from "../client/store.ts";
import { keyOf, leaseStream, toOptions } from "../client/stream-request.ts";
import { ScopeContext } from "./provider.ts";
import type { AwaitedSource, awaitFirst } from "./suspense.ts";
import { doNothing, useKept } from "./use-kept.ts";

/** How a hook takes events. Functions are the latest; what else there is, is read when the stream is opened. */
export interface StoreOptions<S, E extends EventSchemas | undefined> extends StreamStoreOptions<S, E> {
  /** `false` opens nothing, or gives it back. Default `true`. */
  readonly enabled?: boolean | undefined;
  /** Whether the component waits for the first event, as React's Suspense understands it. */
  readonly suspense?: boolean | undefined;
  /** Where all components on a stream find one store, so that one which comes later shows what the others show. */
  readonly stores?: WeakMap<EventStream, StreamStore<S>> | undefined;
}

/** A store, with what its component shows of it. */
export interface KeptStore<S> extends LeasedStore<S> {
  shown?: readonly unknown[];
}

/**
 * The store over the scope's stream for `request`, for as long as the component is mounted.
 * `null` opens nothing. A request that differs in value begins anew from `initial`.
 *
 * @returns With it whether the component has a stream, and is to subscribe to it.
 */
export function useStore<S, E extends EventSchemas | undefined>(
  request: StreamRequest | null,
  options: StoreOptions<S, E>,
): readonly [store: KeptStore<S>, isOn: boolean] {
  const scope = useContext(ScopeContext);
  // What the server has rendered is shown as it is, and not taken away again to wait for events.
  // JavaScript may say `undefined`, as of what is yet to be known.
  const isOn = request != null && options.enabled !== false;
  const mayWait = useSyncExternalStore<unknown>(subscribeToNothing, () => options.suspense, doNothing);
  // Defaults may have changed since the rendering.
  const ask = () => toOptions(request as StreamRequest, scope.ask());
  const asked = ask();
  const key = keyOf(asked);
  const store = useKept(key, scope.registry, { ask, ...options }, (latest): KeptStore<S> => {
    const { initial, stores } = options;
    const source: AwaitedSource<S> = {
      initial,
      linger: asked.linger,
      acquire: (terms) => leaseStream(scope.registry, key, () => latest().ask(), terms),
      createStore(stream, data, tell) {
        let store = stores?.get(stream);
        if (!store) {
          store = createLiveStore<S, E>(stream, data, latest, tell);
          // For as long as there is the stream: whoever comes later is to see what there was before.
          if (stores?.set(stream, store)) store.subscribe(doNothing);
        }
        return store;
      },
    };
    const beginning = mayWait && isOn ? suspend(scope, key, source, toError) : source;
    return createLeasedStore(beginning.initial, beginning);
  });
  return [store, isOn];
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
