import { useEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";
import {
  createRunStore,
  type RunRequestOptions,
  type RunSnapshot,
  type RunStore,
  type StreamStatus,
} from "../client/index.ts";

/** Options of `useRun`. Functions may be written in place; the latest are used. */
export interface UseRunOptions extends RunRequestOptions {
  /** The run to follow: one that was started before, in another tab or before a reload. Default: none. */
  readonly id?: string | null | undefined;
}

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
  const { id, ...request } = options;
  const key = String(url);
  const latest = useRef<RunRequestOptions>(request);
  // Before the effects below, which may open a connection.
  useEffect(() => {
    latest.current = request;
  });
  const create = (): { key: string; store: RunStore } => ({
    key,
    store: createRunStore(key, () => latest.current),
  });
  const [state, setState] = useState(create);
  let held = state;
  if (held.key !== key) {
    held = create();
    setState(held);
  }
  const { store } = held;
  const { run, status } = useSyncExternalStore(store.subscribe, store.getSnapshot, store.getSnapshot);
  useEffect(() => {
    // Without an id it is `start` that says what is followed.
    if (id !== undefined) store.join(id ?? undefined);
  }, [store, id]);
  return useMemo(
    () => ({
      run,
      status,
      isRunning: run?.state === "starting" || run?.state === "running",
      start: store.start,
      stop: store.stop,
    }),
    [run, status, store],
  );
}
