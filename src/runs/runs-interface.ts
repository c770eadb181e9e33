import type { RequestHead } from "../hub/index.ts";
import type { JoinOptions, RunOpening } from "./join.ts";
import type { RunRoutes, RunRoutesOptions } from "./routes.ts";
import type { FoundRun, RunInfo, StartedRun, StartOptions } from "./types.ts";

/**
 * Answers and jobs that outlive the connection. A run's producer writes to the log; clients join and leave as they like,
 * the one that started it among them.
 *
 * Methods that answer with a promise reject with `HUB_CLOSED` after `close`, and with `LOG_FAILED` where the log can't do
 * its work. Those that answer a request, `respond` and `open`, have its client come back, as the hub does.
 */
export interface Runs {
  /**
   * Starts a run, or joins the one that has the id. It resolves when the run stands in the log, not when it is over.
   *
   * @throws EverstreamError `INVALID_OPTION`, `NOT_SERIALIZABLE` for the options; `RUN_BUSY` where another run has the
   *   key; `RUN_EXPIRED` where a run of this id is no longer kept.
   */
  start(options: StartOptions): Promise<StartedRun>;
  /**
   * Asks for a run's end, from any server of the log. May be done again, and before the start has arrived: then the run
   * ends as it begins. Resolves when the log has the request, and, where the run is this process', its end.
   *
   * @throws EverstreamError `INVALID_OPTION` for the id.
   */
  stop(id: string): Promise<void>;
  /** What is known of a run; `undefined` where there is none, or none any more. */
  get(id: string): Promise<RunInfo | undefined>;
  /** The same, telling apart a run there never was from one that is no longer kept. */
  find(id: string): Promise<FoundRun>;
  /**
   * Resolves once a run is over.
   *
   * @throws EverstreamError `INVALID_OPTION`, `UNKNOWN_RUN`, `RUN_EXPIRED`; the signal's reason.
   */
  ended(id: string, options?: { signal?: AbortSignal }): Promise<RunInfo>;
  /** The ids of all runs of this log that have not ended. */
  running(): Promise<string[]>;
  /**
   * The id of the run that has the key now, on any server of the log; `undefined` where none is running.
   *
   * @throws EverstreamError `INVALID_OPTION` for the key.
   */
  holder(key: string): Promise<string | undefined>;
  /** Answers a request with a run's stream; with 404 where there never was one, with 410 where it is no longer kept. */
  respond(request: Request, id: string, options?: JoinOptions): Promise<Response>;
  /** What `respond` does for any server: decides, and leaves the sending to the caller. */
  open(head: RequestHead, id: string, options?: JoinOptions): Promise<RunOpening>;
  /**
   * Routes for any Fetch server: start, join, stop, state.
   *
   * @throws EverstreamError `INVALID_OPTION` for the options.
   */
  routes(options: RunRoutesOptions): RunRoutes;
  /**
   * Takes no more starts, lets running producers go on for `within` milliseconds (default 0), and then ends their runs as
   * abandoned, or leaves them to others where there is an `onAbandoned`. To be called before the hub's `close`. May be
   * called twice.
   *
   * @throws EverstreamError `INVALID_OPTION` for `within`.
   */
  close(options?: { within?: number }): Promise<void>;
}
