import { useSyncExternalStore } from "react";
import type { EventSchemas, StreamEventOf, StreamEventOfType, StreamRequest } from "../client/index.ts";
import { STATUS_ONLY, type UseEventStreamOptions } from "./use-event-stream.ts";
import { doNothing } from "./use-kept.ts";
import { subscribeToNothing, useStore } from "./use-store.ts";

/** How a component listens, as in `useEventStream`. */
export type UseEventStreamEventOptions<E extends EventSchemas | undefined = undefined> = Pick<
  UseEventStreamOptions<null, E>,
  "events" | "onInvalid" | "enabled"
>;

/**
 * Calls `listener` with every event of a stream, or with every one of a type, and never renders for it. The stream is
 * the one that other hooks with an equal request use. The latest `listener` is called, so it may be written in place.
 * `null` opens no stream.
 */
export function useEventStreamEvent<E extends EventSchemas | undefined = undefined>(
  request: StreamRequest | null,
  listener: (event: StreamEventOf<E>) => void,
  options?: UseEventStreamEventOptions<E>,
): void;
export function useEventStreamEvent<
  T extends StreamEventOf<E>["type"],
  E extends EventSchemas | undefined = undefined,
>(
  request: StreamRequest | null,
  type: T,
  listener: (event: StreamEventOfType<E, T>) => void,
  options?: UseEventStreamEventOptions<E>,
): void;
export function useEventStreamEvent(request: StreamRequest | null, ...rest: readonly unknown[]): void {
  const [type, listener, options] = (typeof rest[0] === "string" ? rest : [undefined, ...rest]) as Arguments;
  const [{ subscribe }, isOn] = useStore(request, {
    ...options,
    ...STATUS_ONLY,
    onEvent(event: { readonly type: string }) {
      if (!type || event.type === type) listener(event);
    },
  });
  // The listener hears of events by itself; there is nothing to show.
  useSyncExternalStore<void>(isOn ? subscribe : subscribeToNothing, doNothing, doNothing);
}

type Arguments = [
  type: string | undefined,
  listener: (event: unknown) => void,
  options?: UseEventStreamEventOptions<EventSchemas | undefined>,
];
