/** A timer that was set, for `clearTimeout`. */
export type Timer = ReturnType<typeof setTimeout>;

/**
 * As `setTimeout`, for any time. One beyond 2^31 - 1 ms, 25 days, would be over at once there; here it never is, and nor is
 * `Infinity`.
 */
export function setTimer(callback: () => void, ms: number): Timer | undefined {
  return ms < 2 ** 31 ? setTimeout(callback, ms) : undefined;
}
