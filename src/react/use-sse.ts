import { useMemo } from "react";
import { EverstreamError, type StreamEvent } from "../client/index.ts";
import { useEventStream } from "./use-event-stream.ts";
import type { StoreOptions } from "./use-store.ts";

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
  readonly error: Error | null;
}

/**
 * The last message of an event stream of JSON. It reconnects by itself, unless `reconnect` is `false`; all components
 * with the same URL and options share one connection. `null` opens none.
 */
export function useSSE<T>(url: string | null, { reconnect = true }: UseSSEOptions = {}): SSEResult<T> {
  const request = reconnect ? url : url && ({ url, resume: "never" } as const);
  const { data: latest, status } = useEventStream(request, LATEST);
  const { failure } = status;
  // One for each failure, so that effects which depend on it run once.
  const lost = useMemo(
    () => failure && new EverstreamError(failure.code, "SSE connection error", { cause: failure }),
    [failure],
  );
  return {
    data: latest.data as T | null,
    error: lost ?? latest.error,
    isConnected: status.state === "open",
  };
}

const LATEST: StoreOptions<Latest, undefined> = {
  initial: { data: null, error: null },
  reduce,
  stores: /* @__PURE__ */ new WeakMap(),
};

function reduce(latest: Latest, { type, data }: StreamEvent): Latest {
  if (type !== "message") return latest;
  try {
    return { data: JSON.parse(data) as unknown, error: null };
  } catch (cause) {
    return {
      ...latest,
      error: new EverstreamError("INVALID_DATA", "Failed to parse SSE data", { cause }),
    };
  }
}
