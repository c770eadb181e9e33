import { useContext, useEffect, useMemo, useSyncExternalStore } from "react";
import {
  createRunStore,
  type RunRequestOptions,
  type RunStore,
  type RunView,
  type StreamRequestOptions,
} from "../client/index.ts";
import { toOptions } from "../client/stream-request.ts";
import { ScopeContext } from "./provider.ts";
import { useKept } from "./use-kept.ts";

/** Options of `useRun`. Functions may be written in place; the latest are used. */
export interface UseRunOptions extends RunRequestOptions {
  /** The run to follow: one that was started before, in another tab or before a reload. Default: none. */
  readonly id?: string | null | undefined;
}

/** What `useRun` gives. */
export interface RunResult extends RunView, Pick<RunStore, "start" | "stop"> {}

/**
 * One run at a time: starts it, follows it over lost connections, and stops it. With `id` it follows a run that is there
 * already, from its start. It renders at most once a frame. Unmounting ends the following, never the run.
 *
 * @param url Where the runs' routes are, as `/runs`.
 */
export function useRun(url: string | URL, { id, ...request }: UseRunOptions = {}): RunResult {
  const scope = useContext(ScopeContext);
  // Defaults may have changed since the rendering.
  const ask = () => toOptions({ ...request, url } as StreamRequestOptions, scope.ask());
  const { baseUrl } = ask();
  const key = String(baseUrl ? new URL(url, baseUrl) : url);
  const store = useKept(key, null, ask, (latest) => createRunStore(key, () => latest()()));
  const view = useSyncExternalStore(store.subscribe, store.getSnapshot, store.getSnapshot);
  useEffect(() => {
    // Without an id it is `start` that says what is followed.
    if (id !== undefined) store.join(id);
  }, [store, id]);
  return useMemo(() => ({ ...store, ...view }), [view, store]);
}
