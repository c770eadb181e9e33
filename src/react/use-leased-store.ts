import { useEffect, useState, useSyncExternalStore } from "react";
import {
  createLeasedStore,
  type StoreSource,
  type StreamSnapshot,
  type StreamStore,
} from "../client/index.ts";
import { keyOf, leaseStream, type StreamRequest, type StreamRequestOptions, toOptions } from "./request.ts";

/** How a hook makes its store. */
export interface HookStore<S> {
  readonly initial: S;
  readonly createStore: StoreSource<S>["createStore"];
}

interface Held<S> {
  readonly key: string | null;
  readonly store: StreamStore<S>;
  /** The request of the last render that was committed. */
  request: StreamRequestOptions;
}

/**
 * The snapshot of a store over the application's stream for `request`, for as long as the component is mounted.
 * `null` opens nothing. A request that differs in value begins anew from `initial`.
 *
 * @param hook Read when the stream is opened; later changes mean nothing.
 * @param enabled While `false` the stream is given back, and what was received stays.
 */
export function useLeasedStore<S>(
  request: StreamRequest | null,
  hook: HookStore<S>,
  enabled = true,
): StreamSnapshot<S> {
  const key = request === null ? null : keyOf(request);
  const create = (): Held<S> => hold(key, request, hook);
  const [state, setState] = useState(create);
  let held = state;
  if (held.key !== key) {
    held = create();
    setState(held);
  }
  // Before the subscription below, which reads it.
  useEffect(() => {
    if (request !== null) held.request = toOptions(request);
  });
  const { subscribe, getSnapshot } = held.store;
  return useSyncExternalStore(
    enabled && key !== null ? subscribe : subscribeToNothing,
    getSnapshot,
    getSnapshot,
  );
}

function hold<S>(
  key: string | null,
  request: StreamRequest | null,
  { initial, createStore }: HookStore<S>,
): Held<S> {
  const store = createLeasedStore(initial, {
    acquire: (lastEventId) => leaseStream(() => held.request, lastEventId),
    createStore,
  });
  const held: Held<S> = { key, store, request: toOptions(request ?? "") };
  return held;
}

function subscribeToNothing(): () => void {
  return doNothing;
}

function doNothing(): void {
  // There is no subscription to end.
}
