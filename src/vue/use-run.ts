import { computed, type MaybeRefOrGetter, type ShallowRef, shallowRef, toValue, watch } from "vue";
import {
  createRunStore,
  type RunRequestOptions,
  type RunSnapshot,
  type RunStore,
  type StreamStatus,
} from "../client/index.ts";
import { IDLE } from "../client/machine.ts";
import { useReady } from "./use-ready.ts";

/** Options of `useRun`. */
export interface UseRunOptions extends RunRequestOptions {
  /** The run to follow: one that was started before, in another tab or before a reload. Default: none. */
  readonly id?: MaybeRefOrGetter<string | null | undefined> | undefined;
}

/** What `useRun` gives. */
export interface RunRefs extends Pick<RunStore, "start" | "stop"> {
  /** The run that is followed, or was last; `undefined` where there was none yet. */
  readonly run: Readonly<ShallowRef<RunSnapshot | undefined>>;
  /** Where its connection stands. */
  readonly status: Readonly<ShallowRef<StreamStatus>>;
  /** Whether there is a run that is not over. */
  readonly isRunning: Readonly<ShallowRef<boolean>>;
}

/**
 * One run at a time: starts it, follows it over lost connections, and stops it. With `id` it follows a run that is there
 * already, from its start. Unmounting ends the following, never the run.
 *
 * @param url Where the runs' routes are, as `/runs`.
 */
export function useRun(url: MaybeRefOrGetter<string | URL>, { id, ...request }: UseRunOptions = {}): RunRefs {
  const run = shallowRef<RunSnapshot>();
  const status = shallowRef(IDLE);
  const isRunning = shallowRef(false);
  const isReady = useReady();
  const base = computed(() => String(toValue(url)));
  const store = computed(() => createRunStore(base.value, request));
  watch(
    [store, isReady] as const,
    ([now, isWanted], _, onCleanup) => {
      const show = (): void => {
        const view = now.getSnapshot();
        run.value = view.run;
        status.value = view.status;
        isRunning.value = view.isRunning;
      };
      if (isWanted) onCleanup(now.subscribe(show));
      show();
    },
    { immediate: true },
  );
  watch(
    [store, () => toValue(id)] as const,
    ([now, wanted]) => {
      // Without an id it is `start` that says what is followed.
      if (wanted !== undefined) now.join(wanted);
    },
    { immediate: true },
  );
  return {
    run,
    status,
    isRunning,
    start: (options) => store.value.start(options),
    stop: () => store.value.stop(),
  };
}
