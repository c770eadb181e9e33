import { useMemo } from "react";
import {
  type ConnectionFailure,
  createStreamStore,
  type EventStream,
  EverstreamError,
  type StreamEvent,
  type StreamSnapshot,
  type StreamStore,
} from "../client/index.ts";
import { identity } from "./use-event-stream.ts";
import { type HookStore, type Selection, useLeasedStore } from "./use-leased-store.ts";

/** Options of `useSSE`. */
export interface UseSSEOptions {
  /** `false` leaves it at one connection, whatever becomes of it. Default `true`. */
  readonly reconnect?: boolean | undefined;
}

/** What `useSSE` gives. */
export interface SSEResult<T> {
  /** The last `message` event's data, parsed as JSON. Its type is not checked. */
  readonly data: T | null;
  /**
   * Why there is no connection at the moment ("SSE connection error", with the failure as `cause`), or that the last
   * message was no JSON ("Failed to parse SSE data").
   */
  readonly error: Error | null;
  readonly isConnected: boolean;
}

interface Latest {
  readonly data: unknown;
  readonly parseError: Error | null;
}

const NOTHING: Latest = /* @__PURE__ */ Object.freeze({ data: null, parseError: null });

/** One store for all components on a stream, so that one which comes later shows what the others show. */
const stores = /* @__PURE__ */ new WeakMap<EventStream, StreamStore<Latest>>();
/** One error for each failure, so that effects which depend on it run once. */
const errors = /* @__PURE__ */ new WeakMap<ConnectionFailure, Error>();

/**
 * The last message of an event stream of JSON. It reconnects by itself, unless `reconnect` is `false`; all components
 * with the same URL and options share one connection. `null` opens none.
 */
export function useSSE<T>(url: string | null, { reconnect = true }: UseSSEOptions = {}): SSEResult<T> {
  const request = url === null || reconnect ? url : ({ url, resume: "never" } as const);
  const { snapshot } = useLeasedStore(request, HOOK, true, WHOLE);
  return useMemo(() => toResult<T>(snapshot), [snapshot]);
}

const HOOK: HookStore<Latest> = { initial: NOTHING, createStore: latestOf };
const WHOLE: Selection<Latest, Latest> = { select: identity, equals: Object.is };

function latestOf(stream: EventStream, initial: Latest): StreamStore<Latest> {
  const store = stores.get(stream) ?? createStreamStore(stream, { initial, reduce });
  stores.set(stream, store);
  return store;
}

function reduce(latest: Latest, { type, data }: StreamEvent): Latest {
  if (type !== "message") return latest;
  try {
    return { data: JSON.parse(data) as unknown, parseError: null };
  } catch (cause) {
    const parseError = new EverstreamError("INVALID_DATA", "Failed to parse SSE data", { cause });
    return { data: latest.data, parseError };
  }
}

function toResult<T>({ data: { data, parseError }, status }: StreamSnapshot<Latest>): SSEResult<T> {
  const error = status.failure === undefined ? parseError : errorOf(status.failure);
  return { data: data as T | null, error, isConnected: status.state === "open" };
}

function errorOf(failure: ConnectionFailure): Error {
  const error =
    errors.get(failure) ?? new EverstreamError(failure.code, "SSE connection error", { cause: failure });
  errors.set(failure, error);
  return error;
}
