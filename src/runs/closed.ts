import { EverstreamError, isEverstreamError } from "../errors.ts";

export function closedError(): EverstreamError {
  return new EverstreamError("HUB_CLOSED", "These runs were closed.");
}

/** Whether nothing can be done any more, and nobody needs to hear of it. */
export function isClosed(error: unknown): boolean {
  return isEverstreamError(error, "HUB_CLOSED") || isEverstreamError(error, "LOG_CLOSED");
}

/** Whether there is no log to be had for the moment, here or at all. */
export function isLogAway(error: unknown): boolean {
  return isClosed(error) || isEverstreamError(error, "LOG_FAILED");
}

/** Another process has the run, or ended it; or the hub is closed. */
export function isExpectedLoss(error: unknown): boolean {
  return (
    isEverstreamError(error, "CONFLICT") || isEverstreamError(error, "TOPIC_FINISHED") || isClosed(error)
  );
}
