const SPREAD_PER_SESSION_MS = 1;
const MIN_SPREAD_MS = 1000;
const MAX_SPREAD_MS = 60_000;

/** Over how many milliseconds the clients of so many sessions that are ended together should come back. */
export function drainSpread(sessions: number): number {
  return Math.min(Math.max(sessions * SPREAD_PER_SESSION_MS, MIN_SPREAD_MS), MAX_SPREAD_MS);
}
