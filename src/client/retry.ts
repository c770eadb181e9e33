import { type ConnectionFailure, safely } from "./failure.ts";
import type { StreamInput, StreamStatus } from "./machine.ts";
import type { EventStreamOptions } from "./options.ts";

/** What is known when a connection is lost. */
export interface Loss {
  readonly failure: ConnectionFailure;
  /** The stream's status until now. */
  readonly status: StreamStatus;
  /** The time, as `Date.now()` gives it. */
  readonly at: number;
  /** Whether the work would not be done twice, see `ResumePlan`. */
  readonly resumable: boolean;
  /** The reconnection time that the server sent, in milliseconds. */
  readonly serverRetryMs: number | undefined;
  /** From 0 to 1. */
  readonly random: number;
}

/** The options that decide on the next attempt. */
export type RetryOptions = Pick<EventStreamOptions, "minDelay" | "maxDelay" | "maxRetries" | "shouldRetry">;

/** A wait over 2^31 ms would make setTimeout fire at once: a server's slip of the pen must not be a hot loop. */
const MAX_WAIT_MS = 86_400_000;

// Request Timeout, Too Early, Too Many Requests: the client errors that pass with time.
const TRANSIENT_STATUSES: readonly number[] = [408, 425, 429];
const LASTING_CODES: readonly string[] = ["INVALID_OPTION", "EVENT_TOO_LARGE"];

/** Whether trying again can help: a lost connection or an overloaded server, but not a refused request. */
export function isTransient({ code, status }: ConnectionFailure): boolean {
  if (status === undefined) return !LASTING_CODES.includes(code);
  return status >= 500 || TRANSIENT_STATUSES.includes(status);
}

/**
 * What the machine is to be told of a lost connection: to try again, that this was the end, or that it failed for
 * good. The whole policy of reconnection in one place, without a clock or a timer.
 *
 * The wait has full jitter: it is anywhere between the floor (the server's `retry`, or `minDelay`) and a bound that
 * doubles with each attempt up to `maxDelay`. Even the first wait is spread over twice the floor, because a server
 * that restarts loses all its clients in one moment.
 */
export function judgeLoss(loss: Loss, options: RetryOptions): StreamInput {
  const { failure, at, status, serverRetryMs } = loss;
  const { minDelay = 1000, maxDelay = 30_000, maxRetries = Number.POSITIVE_INFINITY, shouldRetry } = options;
  const openMs = at - (status.openedAt ?? at);
  // Having stayed is progress, too, even if nothing happened that was worth an event.
  const attempt = openMs < maxDelay ? status.attempt : 1;
  const lost = { type: "lost", failure, attempt } as const;
  const hasEnded = failure.code === "STREAM_ENDED";
  if (!loss.resumable) return hasEnded ? { type: "ended" } : { ...lost, failure: beyondRepair(failure) };

  let wanted: boolean | undefined;
  safely(() => {
    wanted = shouldRetry?.(failure);
  });
  wanted ??= isTransient(failure);
  const isSpent = attempt > maxRetries;
  // Connections that ended well but brought nothing spend the budget, too; a single one is simply over.
  if (hasEnded && (!wanted || (isSpent && attempt === 1))) return { type: "ended" };
  if (!wanted || isSpent) return lost;

  const floor = serverRetryMs ?? minDelay;
  if (isBodyTimeout(failure) && openMs >= floor) return { ...lost, retryInMs: 0 };
  const bound = Math.min(Math.max(floor, minDelay, 1) * 2 ** attempt, Math.max(maxDelay, 2 * floor));
  const waitMs = Math.max(floor, failure.retryAfterMs ?? 0) + loss.random * (bound - floor);
  return { ...lost, retryInMs: Math.min(waitMs, MAX_WAIT_MS) };
}

/** Says of a connection that broke that it was not opened again on purpose; a refusal speaks for itself. */
function beyondRepair(failure: ConnectionFailure): ConnectionFailure {
  if (!isTransient(failure) || failure.status !== undefined) return failure;
  return { code: "NOT_RESUMABLE", message: `Lost for good: ${failure.message}`, cause: failure };
}

/**
 * Whether Node ended a response only because nothing arrived for its body timeout, 300 s by default: a fact about
 * the client, not about the server, so there is no reason to wait.
 */
function isBodyTimeout({ cause }: ConnectionFailure): boolean {
  const { cause: inner } = Object(cause) as { cause?: { code?: unknown } | undefined };
  return inner?.code === "UND_ERR_BODY_TIMEOUT";
}
