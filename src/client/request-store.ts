import type { Defined } from "../schema/index.ts";
import { createLeasedStore, type LeasedStore, type StreamRegistry } from "./registry.ts";
import { createLiveStore, type StreamStoreOptions } from "./store.ts";
import { appStreams, keyOf, leaseStream, type StreamRequest, toOptions } from "./stream-request.ts";

/** How a store is made of a request's events. */
export interface RequestStoreOptions<S, E extends Defined = undefined> extends StreamStoreOptions<S, E> {
  /** Whose streams it shares, made by `createStreamRegistry`. Default: those of the application. */
  readonly registry?: StreamRegistry | undefined;
}

/**
 * Creates a store over the stream for `request`, as the hooks have it: it opens the stream with its first listener, gives it
 * back a moment after its last, and goes on after the last event with the next one. All stores with an equal request share
 * one connection; each has its own value. Creating one has no side effect.
 */
export function createRequestStore<S, E extends Defined = undefined>(
  request: StreamRequest,
  { registry = appStreams, ...options }: RequestStoreOptions<S, E>,
): LeasedStore<S> {
  const asked = toOptions(request);
  return createLeasedStore(options.initial, {
    acquire: (terms) => leaseStream(registry, keyOf(asked), () => asked, terms),
    createStore: (stream, data, tell) => createLiveStore<S, E>(stream, data, () => options, tell),
    linger: asked.linger,
  });
}
