import { type ConnectionFailure, safely } from "./failure.ts";
import type { StreamInput, StreamStatus } from "./machine.ts";
import type { EventStreamOptions } from "./options.ts";

/** The options that decide on the next attempt. */
export type RetryOptions = Pick<EventStreamOptions, "minDelay" | "maxDelay" | "maxRetries" | "shouldRetry">;

/** A wait over 2^31 ms would make setTimeout fire at once: a server's slip of the pen must not be a hot loop. */
const MAX_WAIT_MS = 86_400_000;
/** A connection that stayed for less is no sign of health, however short the waits are. */
const MIN_STAY_MS = 1000;

/** Whether trying again can help: a lost connection or an overloaded server, but not a refused request. */
export function isTransient({ code, status }: ConnectionFailure): boolean {
  if (!status) return code !== "INVALID_OPTION" && code !== "EVENT_TOO_LARGE";
  // Request Timeout, Too Early, Too Many Requests: the client errors that pass with time.
  return status >= 500 || status === 408 || status === 425 || status === 429;
}

/**
 * What the machine is to be told of a lost connection: to try again, that this was the end, or that it failed for
 * good. The whole policy of reconnection in one place, without a clock or a timer.
 *
 * The wait has full jitter: it is anywhere between the floor (the server's `retry`, or `minDelay`) and a bound that
 * doubles with each attempt up to `maxDelay`. Even the first wait is spread over twice the floor, because a server
 * that restarts loses all its clients in one moment.
 *
 * @param status The stream's until now.
 * @param resumable Whether the work would not be done twice, see `ResumePlan`.
 * @param retryMs The reconnection time that the server sent, in milliseconds.
 * @param at The time, in milliseconds as `Date.now()` gives it.
 * @param random From 0 to 1.
 */
export function judgeLoss(
  failure: ConnectionFailure,
  status: StreamStatus,
  resumable: boolean,
  retryMs: number | undefined,
  options: RetryOptions,
  at: number,
  random: number,
): StreamInput {
  const { minDelay = 1000, maxDelay = 30_000, maxRetries, shouldRetry } = options;
  const openMs = at - (status.openedAt ?? at);
  // Having stayed is progress, too, even if nothing happened that was worth an event.
  const attempt = openMs < Math.max(maxDelay, MIN_STAY_MS) ? status.attempt : 1;
  const lost = { type: "lost", failure, attempt } as const;
  let wanted = isTransient(failure);
  safely(() => {
    wanted = shouldRetry?.(failure) ?? wanted;
  });
  if (!(wanted && resumable)) {
    if (failure.code === "STREAM_ENDED") return { type: "ended" };
    // A refusal speaks for itself; of a break, say that it was not mended on purpose.
    if (!wanted || failure.status) return lost;
    return {
      ...lost,
      failure: { code: "NOT_RESUMABLE", message: `Lost: ${failure.message}`, cause: failure },
    };
  }
  // Without a bound, nothing is over it.
  if (attempt > (maxRetries as number)) return lost;

  const floor = Math.min(retryMs ?? minDelay, MAX_WAIT_MS);
  const grown = Math.max(floor, minDelay, 1) * 2 ** attempt;
  const bound = Math.min(grown, Math.max(maxDelay, 2 * floor), MAX_WAIT_MS);
  const waitMs = Math.max(floor, failure.retryAfterMs ?? 0) + random * (bound - floor);
  return { ...lost, nextTryAt: at + Math.min(waitMs, MAX_WAIT_MS) };
}
