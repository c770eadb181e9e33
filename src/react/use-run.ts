import { useContext, useEffect, useMemo, useSyncExternalStore } from "react";
import {
  createRunStore,
  type RunRequestOptions,
  type RunSnapshot,
  type RunStore,
  type StreamRequestOptions,
  type StreamStatus,
} from "../client/index.ts";
import { isOver } from "../client/run-state.ts";
import { toOptions } from "../client/stream-request.ts";
import { ScopeContext } from "./provider.ts";
import { useKept, useLatest } from "./use-kept.ts";

/** Options of `useRun`. Functions may be written in place; the latest are used. */
export interface UseRunOptions extends RunRequestOptions {
  /** The run to follow: one that was started before, in another tab or before a reload. Default: none. */
  readonly id?: string | null | undefined;
}

type Asked = StreamRequestOptions & Pick<UseRunOptions, "id">;

/** What `useRun` gives. */
export interface RunResult extends Pick<RunStore, "start" | "stop"> {
  /** The run that is followed, or was last; `undefined` where there was none yet. */
  readonly run: RunSnapshot | undefined;
  /** Where its connection stands. */
  readonly status: StreamStatus;
  /** Whether there is a run that is not over. */
  readonly isRunning: boolean;
}

/**
 * One run at a time: starts it, follows it over lost connections, and stops it. With `id` it follows a run that is there
 * already, from its start. It renders at most once a frame. Unmounting ends the following, never the run.
 *
 * @param url Where the runs' routes are, as `/runs`.
 */
export function useRun(url: string | URL, options: UseRunOptions = {}): RunResult {
  const scope = useContext(ScopeContext);
  // Defaults may have changed since the rendering.
  const ask = () => toOptions({ ...options, url } as Asked, scope.defaults) as Asked;
  const { id, baseUrl } = ask();
  const key = String(baseUrl ? new URL(url, baseUrl) : url);
  // Before the effects below, which may open a connection.
  const latest = useLatest(ask);
  const store = useKept(key, null, () =>
    createRunStore(key, () => {
      const { id: _, ...request } = latest.current();
      return request;
    }),
  );
  const view = useSyncExternalStore(store.subscribe, store.getSnapshot, store.getSnapshot);
  useEffect(() => {
    // Without an id it is `start` that says what is followed.
    if (id !== undefined) store.join(id ?? undefined);
  }, [store, id]);
  return useMemo(() => {
    const { start, stop } = store;
    return { ...view, isRunning: view.run !== undefined && !isOver(view.run), start, stop };
  }, [view, store]);
}
