import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import {
  createLeasedStore,
  type LeasedStore,
  type StoreSource,
  type StreamSnapshot,
} from "../client/index.ts";
import { keyOf, leaseStream, type StreamRequest, type StreamRequestOptions, toOptions } from "./request.ts";

/** How a hook makes its store. */
export interface HookStore<S> {
  readonly initial: S;
  readonly createStore: StoreSource<S>["createStore"];
}

/** What of a store's value a component shows. */
export interface Selection<S, R> {
  readonly select: (data: S) => R;
  readonly equals: (a: R, b: R) => boolean;
}

interface Held<S> {
  readonly key: string | null;
  readonly store: LeasedStore<S>;
  /** The request of the last render that was committed. */
  request: StreamRequestOptions;
}

/** What `useLeasedStore` gives. */
interface LeasedResult<R> extends Pick<LeasedStore<unknown>, "reopen"> {
  readonly snapshot: StreamSnapshot<R>;
}

/**
 * The store over the application's stream for `request`, for as long as the component is mounted.
 * `null` opens nothing. A request that differs in value begins anew from `initial`.
 *
 * @param hook Read when the stream is opened; later changes mean nothing.
 */
export function useHeldStore<S>(request: StreamRequest | null, hook: HookStore<S>): LeasedStore<S> {
  const key = request === null ? null : keyOf(request);
  const create = (): Held<S> => hold(key, request, hook);
  const [state, setState] = useState(create);
  let held = state;
  if (held.key !== key) {
    held = create();
    setState(held);
  }
  // Before the subscription to the store, an effect of the caller's, which reads it.
  useEffect(() => {
    if (request !== null) held.request = toOptions(request);
  });
  return held.store;
}

/**
 * What such a store shows.
 *
 * @param enabled While `false` the stream is given back, and what was received stays.
 * @param selection What of it is shown, and what counts as the same.
 */
export function useLeasedStore<S, R>(
  request: StreamRequest | null,
  hook: HookStore<S>,
  enabled: boolean,
  { select, equals }: Selection<S, R>,
): LeasedResult<R> {
  const { subscribe, getSnapshot, reopen } = useHeldStore(request, hook);
  const shown = useRef<StreamSnapshot<R> | undefined>(undefined);
  const getSelected = useMemo(
    () => memoize(getSnapshot, select, equals, () => shown.current),
    [getSnapshot, select, equals],
  );
  const snapshot = useSyncExternalStore(
    enabled && request !== null ? subscribe : subscribeToNothing,
    getSelected,
    getSelected,
  );
  useEffect(() => {
    shown.current = snapshot;
  }, [snapshot]);
  return { snapshot, reopen };
}

/** The same value for as long as nothing changes that counts; with another `select`, too, than what is shown. */
function memoize<S, R>(
  getSnapshot: () => StreamSnapshot<S>,
  select: (data: S) => R,
  equals: (a: R, b: R) => boolean,
  getShown: () => StreamSnapshot<R> | undefined,
): () => StreamSnapshot<R> {
  let last: StreamSnapshot<S> | undefined;
  let selected: StreamSnapshot<R> | undefined;
  return () => {
    const snapshot = getSnapshot();
    if (selected !== undefined && snapshot === last) return selected;
    last = snapshot;
    const { status } = snapshot;
    const before = selected ?? getShown();
    let data = select(snapshot.data);
    if (before !== undefined && equals(before.data, data)) ({ data } = before);
    selected = before?.data === data && before.status === status ? before : { data, status };
    return selected;
  };
}

function hold<S>(
  key: string | null,
  request: StreamRequest | null,
  { initial, createStore }: HookStore<S>,
): Held<S> {
  const store = createLeasedStore(initial, {
    acquire: (terms) => leaseStream(() => held.request, terms),
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
