import { isEverstreamError } from "everstream";

/** While the log is away, all requests fail in the same words: those are said once within this time, */
const QUIET_MS = 10_000;
/** and so many different ones. */
const MAX_LINES = 20;

const said = new Set<string>();
let since = 0;

/**
 * Writes a failure where whoever runs the server sees it: that of the log as a line, which says all there is to say, anything
 * else with its stack. What was under way when the log was closed is no failure.
 */
export function complain(what: string, error: unknown): void {
  if (isClosed(error)) return;
  if (!isLogAway(error)) {
    console.error(`${what}:`, error);
    return;
  }
  if (performance.now() - since > QUIET_MS) {
    said.clear();
    since = performance.now();
  }
  // Whatever failed by it: the message is what can be acted on.
  if (said.has(error.message) || said.size >= MAX_LINES) return;
  said.add(error.message);
  console.error(`${what}: ${error.message}`);
}

/** Whether the log's server can't be reached, or not be used as it is. */
export function isLogAway(error: unknown): error is Error {
  return isEverstreamError(error, "LOG_FAILED") || isEverstreamError(error, "LOG_UNSUITABLE");
}

/** Whether this server has begun to close. */
export function isClosed(error: unknown): boolean {
  return isEverstreamError(error, "HUB_CLOSED") || isEverstreamError(error, "LOG_CLOSED");
}
