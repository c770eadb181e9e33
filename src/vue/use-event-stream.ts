import { computed, type MaybeRefOrGetter, type ShallowRef, shallowRef, toValue, watch } from "vue";
import {
  createRequestStore,
  type EventSchemas,
  type LeasedStore,
  type RequestStoreOptions,
  type StreamRequest,
  type StreamStatus,
} from "../client/index.ts";
import { IDLE } from "../client/machine.ts";
import { keyOf, toOptions } from "../client/stream-request.ts";
import { useReady } from "./use-ready.ts";

/** How a component takes events. */
export interface UseEventStreamOptions<S, E extends EventSchemas | undefined = undefined>
  extends RequestStoreOptions<S, E> {
  /** `false` gives the stream back and keeps what was received; with `true` it goes on from there. Default `true`. */
  readonly enabled?: MaybeRefOrGetter<boolean> | undefined;
}

/** What `useEventStream` gives. */
export interface EventStreamRefs<S> {
  /** What the reducer made of all events up to now; replaced once a frame at most. */
  readonly data: Readonly<ShallowRef<S>>;
  /** Where the connection stands; `failure` says why there is none. */
  readonly status: Readonly<ShallowRef<StreamStatus>>;
  /** Opens a stream that has failed or ended again, after the last event. Does nothing with any other. */
  reopen(): void;
}

interface Asked<S> {
  readonly key: string;
  readonly store: LeasedStore<S>;
}

/**
 * The events of a stream, reduced to a value, for as long as the component is mounted, or the effect scope lives. All
 * that ask for an equal request share one connection; each has its own value.
 *
 * @param request Compared by value. One that differs begins anew from `initial`; `null` opens no stream.
 */
export function useEventStream<S, E extends EventSchemas | undefined = undefined>(
  request: MaybeRefOrGetter<StreamRequest | null>,
  options: UseEventStreamOptions<S, E>,
): EventStreamRefs<S> {
  const { enabled = true, initial } = options;
  const data = shallowRef(initial);
  const status = shallowRef(IDLE);
  const isReady = useReady();
  const asked = computed<Asked<S> | null>((before) => {
    const now = toValue(request);
    // JavaScript may say `undefined`, as of what is yet to be known.
    if (now == null) return null;
    const key = keyOf(toOptions(now));
    return before?.key === key ? before : { key, store: createRequestStore<S, E>(now, options) };
  });
  watch(
    [asked, () => isReady.value && toValue(enabled)] as const,
    ([now, isWanted], _, onCleanup) => {
      const show = (): void => {
        const snapshot = now?.store.getSnapshot();
        data.value = snapshot ? snapshot.data : initial;
        status.value = snapshot && isWanted ? snapshot.status : IDLE;
      };
      if (now && isWanted) onCleanup(now.store.subscribe(show));
      show();
    },
    { immediate: true },
  );
  return { data, status, reopen: () => asked.value?.store.reopen() };
}
