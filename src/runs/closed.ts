import { EverstreamError, isEverstreamError } from "../errors.ts";

export function closedError(): EverstreamError {
  return new EverstreamError("HUB_CLOSED", "These runs were closed.");
}

/** Whether nothing can be done any more, and nobody needs to hear of it. */
export function isClosed(error: unknown): boolean {
  return isEverstreamError(error, "HUB_CLOSED") || isEverstreamError(error, "LOG_CLOSED");
}

/** Another process has the run, or ended it; or the hub is closed. */
export function isExpectedLoss(error: unknown): boolean {
  return (
    isEverstreamError(error, "CONFLICT") || isEverstreamError(error, "TOPIC_FINISHED") || isClosed(error)
  );
}
