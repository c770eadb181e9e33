/** Runs: producers that write to the hub's log and outlive every connection. */
export { explainToClients } from "./client-error.ts";
export type { JoinOptions, RunOpening } from "./join.ts";
export { assertRuns, type RunsOptions } from "./options.ts";
export type { RunProgressData } from "./progress.ts";
export { answerRun, assertRoutesOptions, type RunRoutes, type RunRoutesOptions } from "./routes.ts";
export { createRuns } from "./runs.ts";
export type { Runs } from "./runs-interface.ts";
export type {
  FoundRun,
  Produce,
  Run,
  RunInfo,
  RunState,
  StartedRun,
  StartOptions,
  WhenUnwatched,
} from "./types.ts";
