import type { ConnectionFailure } from "./failure.ts";

/**
 * Where a stream stands.
 *
 * - `idle`: nobody listens yet. `connecting`: a request is on its way.
 * - `open`: events arrive. `stalled`: open, but the server's heartbeat is overdue; the connection is given up.
 * - `waiting`: for the next attempt. `paused`: the page is away, and so is the connection, until the page returns.
 * - `closed`: by the caller, or because the server said that nothing more will come. `failed`: given up, see `failure`.
 */
export type StreamState =
  | "idle"
  | "connecting"
  | "open"
  | "stalled"
  | "waiting"
  | "paused"
  | "closed"
  | "failed";

/** What can happen to a connection. */
export type StreamInput =
  | {
      readonly type: "opened" | "progress" | "silent" | "ended" | "elapsed" | "wake" | "pause" | "close";
    }
  | {
      readonly type: "lost";
      readonly failure: ConnectionFailure;
      /** Attempts since the last progress, the one that is lost included. */
      readonly attempt: number;
      /** When the next attempt begins, as in the status; without it there is none. */
      readonly nextTryAt?: number | undefined;
    };

/** A stream's whole state, as one value that is replaced and never changed. */
export interface StreamStatus {
  readonly state: StreamState;
  /** What brought the stream into this state. */
  readonly reason?: StreamInput["type"];
  /** How many attempts were made since the last progress, that is since an event arrived, this one included. */
  readonly attempt: number;
  /**
   * While `waiting`: when the next attempt begins, in milliseconds as `Date.now()` gives it. While `paused`: when it would
   * have begun; one that the server put off (`Retry-After`) begins no earlier.
   */
  readonly nextTryAt?: number | undefined;
  /** When the connection, or the one that was just lost, was opened, in milliseconds as `Date.now()` gives it. */
  readonly openedAt?: number;
  /** Why the last connection was lost, while `waiting`, `paused` or `connecting` again; or why the stream `failed`. */
  readonly failure?: ConnectionFailure | undefined;
}

/** The status of every stream before it begins. */
export const IDLE: StreamStatus = { state: "idle", attempt: 0 };

type Transitions = Readonly<Partial<Record<StreamInput["type"], StreamState>>>;

/** What any state but the last two can come to, and what those can that have a connection. */
const LEAVING = { pause: "paused", close: "closed" } as const;
const LOSING = { ...LEAVING, lost: "waiting", ended: "closed" } as const;

/** Which state follows on which input. What is not here means nothing in that state. */
const TRANSITIONS: Readonly<Partial<Record<StreamState, Transitions>>> = {
  idle: { ...LEAVING, wake: "connecting" },
  connecting: { ...LOSING, opened: "open" },
  open: { ...LOSING, progress: "open", silent: "stalled" },
  stalled: LOSING,
  waiting: { ...LEAVING, elapsed: "connecting", wake: "connecting" },
  paused: { close: "closed", wake: "connecting" },
};

/** Whether the stream is at its end: nothing can happen to it any more. */
export function isFinal({ state }: StreamStatus): boolean {
  return !(state in TRANSITIONS);
}

/**
 * What follows on `input`: the same value where it means nothing in this state. No side effects.
 *
 * @param at The time, in milliseconds as `Date.now()` gives it.
 */
export function transition(status: StreamStatus, input: StreamInput, at: number): StreamStatus {
  const { attempt, failure, nextTryAt = 0 } = status;
  const reason = input.type;
  const state = TRANSITIONS[status.state]?.[reason];
  if (!state) return status;
  const next = { ...status, state, reason };
  if (input.type === "lost") {
    const { type, ...facts } = input;
    return { ...next, ...facts, state: facts.nextTryAt ? state : "failed" };
  }
  if (reason === "opened") return { ...next, openedAt: at, failure: undefined };
  if (reason === "progress") return attempt > 1 ? { ...status, attempt: 1 } : status;
  if (reason === "silent") return next;
  // What is given up has not failed. What has, before, still counts, and so does the wait for it.
  if (reason === "pause" && failure) {
    return { ...next, attempt: status.state === "connecting" ? attempt - 1 : attempt };
  }
  // A wait that the server asked for by Retry-After is not cut short: the network came back, not the server.
  if (reason === "wake" && failure?.retryAfterMs && at < nextTryAt) {
    return status.state === "paused" ? { ...next, state: "waiting" } : status;
  }
  // What was is over, or an attempt begins.
  return state === "connecting"
    ? { state, reason, attempt: attempt + 1, failure }
    : { state, reason, attempt: 0 };
}
