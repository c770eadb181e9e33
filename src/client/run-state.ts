import { type EverstreamErrorCode, isEverstreamError } from "../errors.ts";
import { DONE_EVENT, ERROR_EVENT, type ErrorData, PROGRESS_EVENT, TOKEN_EVENT } from "../protocol/index.ts";
import type { StreamEvent } from "./event-stream.ts";
import { readServerError, readToken } from "./token-data.ts";

/**
 * How it stands with a run, as far as this client knows. `starting`: nothing was heard of it yet. `running`. Then one of:
 * `done`; `error`, its producer failed; `stopped`, somebody asked for that; `abandoned`, its server is gone. `lost`: it
 * can't be followed any further, and whatever became of it, nobody here will hear of it.
 */
export type FollowedState = "starting" | "running" | "done" | "error" | "stopped" | "abandoned" | "lost";

/** The latest `progress` of a run. */
export interface RunProgress {
  readonly step: string;
  /** How far the whole has come, in percent. */
  readonly progress: number;
  readonly done?: number;
  readonly total?: number;
  readonly unit?: string;
  /** How long the rest will take, in milliseconds, by what was done so far. */
  readonly etaMs?: number;
}

/** Why there is no (complete) answer. `code` is the server's, or one of {@link EverstreamErrorCode}. */
export type RunError = Readonly<ErrorData>;

/** A run as it was last heard of. Plain data: it can be stored as JSON, and followed further from there. */
export interface RunSnapshot {
  readonly id: string;
  readonly state: FollowedState;
  /** All of its text so far. */
  readonly text: string;
  /** All that it said of its reasoning. */
  readonly reasoning: string;
  readonly progress: RunProgress | undefined;
  /** What `done` carried. */
  readonly result: Readonly<Record<string, unknown>> | undefined;
  readonly error: RunError | undefined;
  /** Where to go on after. Empty where there is nothing yet. */
  readonly lastEventId: string;
}

/** The type of an event that carries a piece of reasoning: `{"content": "…"}`. */
const REASONING_EVENT = "reasoning";
/** A run of which nothing is known but its name. */
export function unknownRun(id: string): RunSnapshot {
  return {
    id,
    state: "starting",
    text: "",
    reasoning: "",
    progress: undefined,
    result: undefined,
    error: undefined,
    lastEventId: "",
  };
}

/** Whether nothing more will be heard of it. */
export function isOver({ state }: RunSnapshot): boolean {
  return state !== "starting" && state !== "running";
}

/** What follows on an event. No side effects. */
export function reduceRun(run: RunSnapshot, { type, data, lastEventId }: StreamEvent): RunSnapshot {
  const next: RunSnapshot = { ...run, state: "running", lastEventId };
  switch (type) {
    case TOKEN_EVENT: {
      const piece = readToken(data);
      return typeof piece === "string" ? { ...next, text: run.text + piece } : lost(next, piece);
    }
    case REASONING_EVENT: {
      const piece = readToken(data);
      return typeof piece === "string" ? { ...next, reasoning: run.reasoning + piece } : next;
    }
    case PROGRESS_EVENT:
      return { ...next, progress: json(data) as RunProgress | undefined };
    case DONE_EVENT:
      return { ...next, state: "done", result: Object(json(data)) as Record<string, unknown> };
    case ERROR_EVENT: {
      const { message, cause } = readServerError(data);
      const { code } = Object(cause) as Partial<ErrorData>;
      const known = typeof code === "string" ? code : "SERVER_ERROR";
      // Two codes are ends of their own.
      const state = known === "stopped" || known === "abandoned" ? known : "error";
      return { ...next, state, error: { code: known, message } };
    }
    default:
      return next;
  }
}

/** A run that can't be followed any further. */
export function lost(run: RunSnapshot, error: unknown): RunSnapshot {
  const code: EverstreamErrorCode = isEverstreamError(error) ? error.code : "NOT_RESUMABLE";
  return {
    ...run,
    state: "lost",
    error: { code, message: error instanceof Error ? error.message : String(error) },
  };
}

function json(data: string): unknown {
  try {
    return JSON.parse(data);
  } catch {
    // What a producer sends under these names by itself need not be JSON.
    return undefined;
  }
}
