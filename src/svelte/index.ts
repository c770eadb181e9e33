/**
 * Svelte stores for event streams, for `$store` and `fromStore`. They import nothing of Svelte: its store contract is a
 * `subscribe`. Where there is no document, as on a server, they open nothing.
 */
import {
  createRequestStore,
  createRunStore,
  type EventSchemas,
  type LeasedStore,
  type RequestStoreOptions,
  type RunRequestOptions,
  type RunStore,
  type RunView,
  type StreamRequest,
  type StreamSnapshot,
  type Unsubscribe,
} from "../client/index.ts";

export type { StreamDefaults, StreamRequest, StreamRequestOptions } from "../client/index.ts";

/** Svelte's contract of a store that can be read. */
export interface ReadableStore<T> {
  /** Calls `run` at once, and with every new value. */
  subscribe(this: void, run: (value: T) => void): Unsubscribe;
}

/** The events of a stream, reduced to a value, and where its connection stands. */
export interface EventStreamStore<S>
  extends ReadableStore<StreamSnapshot<S>>,
    Pick<LeasedStore<S>, "reopen"> {}

/**
 * Creates a store over the stream for `request`: it opens it with its first subscriber, gives it back a moment after its
 * last, and goes on after the last event with the next one. It changes once a frame at most. All stores with an equal
 * request share one connection; each has its own value.
 */
export function eventStream<S, E extends EventSchemas | undefined = undefined>(
  request: StreamRequest,
  options: RequestStoreOptions<S, E>,
): EventStreamStore<S> {
  const store = createRequestStore<S, E>(request, options);
  return { subscribe: contractOf(store), reopen: store.reopen };
}

/** One run at a time, as a store. */
export interface RunReadable extends ReadableStore<RunView>, Pick<RunStore, "start" | "join" | "stop"> {}

/**
 * Creates a store over the runs behind `url`, as `/runs`: it starts one, or joins it by its id, follows it while it has
 * subscribers, and stops it.
 */
export function runStore(url: string | URL, options: RunRequestOptions = {}): RunReadable {
  const { start, join, stop, ...store } = createRunStore(url, options);
  return { subscribe: contractOf(store), start, join, stop };
}

interface Source<T> {
  getSnapshot(): T;
  subscribe(listener: () => void): Unsubscribe;
}

function contractOf<T>({ getSnapshot, subscribe }: Source<T>): ReadableStore<T>["subscribe"] {
  return (run) => {
    const show = (): void => run(getSnapshot());
    // A server renders once, and has nobody to tell.
    const unsubscribe = "document" in globalThis ? subscribe(show) : () => undefined;
    show();
    return unsubscribe;
  };
}
