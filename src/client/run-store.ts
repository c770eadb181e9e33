import type { Unsubscribe } from "./listeners.ts";
import { IDLE, isFinal, type StreamStatus } from "./machine.ts";
import { isOver, type RunSnapshot, unknownRun } from "./run-state.ts";
import {
  type FollowedRun,
  joinRun,
  type RunRequestOptions,
  type StartRunOptions,
  startRun,
  stopRun,
} from "./runs.ts";
import { createSubscribers, LINGER_MS } from "./subscribers.ts";

/** What a run store shows: replaced by a new value when something changed, and never changed itself. */
export interface RunView {
  /** The run that is followed, or was last; `undefined` where there was none yet. */
  readonly run: RunSnapshot | undefined;
  /** Where its connection stands. */
  readonly status: StreamStatus;
  /** Whether there is a run that is not over. */
  readonly isRunning: boolean;
}

/** One run at a time, for a user interface. Made for `useSyncExternalStore` and its like. */
export interface RunStore {
  getSnapshot(): RunView;
  /** Calls `listener` after each new view. A run is followed while the store has listeners. */
  subscribe(listener: () => void): Unsubscribe;
  /**
   * Starts a run and shows it in place of the one before, which goes on without being followed. Returns its id, under
   * which it can be found after a reload of the page. Without listeners it is followed until the server has it.
   *
   * @throws EverstreamError `INVALID_OPTION`: an option can't be used.
   */
  start(options?: Pick<StartRunOptions, "id" | "input" | "body">): string;
  /** Shows the run of this id; `null` or `undefined` shows none. The one that is shown already stays as it is, unless it was lost. */
  join(id: string | null | undefined): void;
  /** Ends the run that is shown, or was to be, for everybody. Resolves at once where there is none, or it is over. */
  stop(): Promise<void>;
}

const NOTHING: RunView = { run: undefined, status: IDLE, isRunning: false };

/**
 * Creates a store over the runs behind `url`. It has no side effect until it has a listener, or starts a run.
 *
 * @param options How the routes are asked; a function is asked for them whenever a run is started, joined or stopped.
 */
export function createRunStore(
  url: string | URL,
  options: RunRequestOptions | (() => RunRequestOptions) = {},
): RunStore {
  let view = NOTHING;
  let followed: FollowedRun | undefined;
  /** The one that was started last, whose request is not given up with it. */
  let started: FollowedRun | undefined;
  /** What to follow once somebody listens. */
  let wanted: RunSnapshot | undefined;

  const request = (): RunRequestOptions => (typeof options === "function" ? options() : options);
  const show = (next: RunView): void => {
    view = next;
    subscribers.emit();
  };
  const follow = (run: FollowedRun): void => {
    const update = (): void => {
      const { snapshot, status } = run;
      if (followed === run) show({ run: snapshot, status, isRunning: !isOver(snapshot) });
    };
    followed = run;
    wanted = undefined;
    run.subscribe(update);
    update();
  };
  const leave = (): void => {
    const run = followed;
    followed = undefined;
    if (run && (run !== started || isHeardOf(run))) run.close();
  };
  const attach = (): void => {
    if (wanted) follow(joinRun(url, wanted.id, { ...request(), from: wanted }));
  };
  const known = (): RunSnapshot | undefined => followed?.snapshot ?? wanted;

  const subscribers = createSubscribers(() => {
    attach();
    return () => {
      wanted = known();
      leave();
    };
  }, LINGER_MS);
  return {
    getSnapshot: () => view,
    subscribe: subscribers.subscribe,
    start(start = {}) {
      const run = startRun(url, { ...request(), ...start });
      leave();
      started = run;
      follow(run);
      // Whoever leaves at once, or shows another, has started it all the same.
      const letGo = subscribers.subscribe(() => undefined);
      const stop = run.subscribe(() => {
        if (!isHeardOf(run)) return;
        stop();
        letGo();
        if (followed !== run) run.close();
      });
      return run.id;
    },
    join(id) {
      const run = known();
      const asked = id ?? undefined;
      if (asked === run?.id && run?.state !== "lost") return;
      leave();
      wanted = asked === undefined ? asked : unknownRun(asked);
      show(NOTHING);
      if (!subscribers.isEmpty()) attach();
    },
    async stop() {
      const run = known();
      if (run === undefined || (isOver(run) && run.state !== "lost")) return;
      await stopRun(url, run.id, { ...request(), signal: undefined });
    },
  };
}

/** Whether the server has what was started, or never will. */
function isHeardOf({ status }: FollowedRun): boolean {
  return status.openedAt !== undefined || isFinal(status);
}
