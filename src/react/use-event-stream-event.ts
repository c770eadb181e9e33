import { useEffect, useRef } from "react";
import {
  createStreamStore,
  type EventSchemas,
  type EventStream,
  type StreamEventOf,
  type StreamEventOfType,
} from "../client/index.ts";
import type { StreamRequest } from "./request.ts";
import type { UseEventStreamOptions } from "./use-event-stream.ts";
import { useHeldStore } from "./use-leased-store.ts";

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
  const [listener, options = {}] = (typeof rest[0] === "string" ? rest.slice(1) : rest) as [
    Listener,
    UseEventStreamEventOptions<EventSchemas | undefined>?,
  ];
  const type = typeof rest[0] === "string" ? rest[0] : undefined;
  const { enabled = true } = options;
  const latest = useRef({ ...options, listener, type });
  // Before the subscription, an effect too, so that no event meets the listener of an earlier render.
  useEffect(() => {
    latest.current = { ...options, listener, type };
  });
  const createStore = (stream: EventStream) =>
    createStreamStore(stream, {
      initial: null,
      events: latest.current.events,
      ...(latest.current.onInvalid && {
        onInvalid: (error, event) => latest.current.onInvalid?.(error, event),
      }),
      reduce: () => null,
      onEvent(event: { readonly type: string }) {
        const { type, listener } = latest.current;
        if (type === undefined || event.type === type) listener(event);
      },
    });
  const { subscribe } = useHeldStore(request, { initial: null, createStore });
  const wanted = enabled && request !== null;
  useEffect(() => (wanted ? subscribe(doNothing) : undefined), [wanted, subscribe]);
}

type Listener = (event: unknown) => void;

function doNothing(): void {
  // The listener hears of events by itself; there is nothing to show.
}
