/**
 * Why a session ended. One of these reaches `stream.closeReason`, `hub.stats()` and every `onClose` listener.
 *
 * - `finished`: the producer said its last word, or `close()` was called.
 * - `failed`: the callback threw; an `error` event went out first.
 * - `aborted`: the server's code called `abort()`.
 * - `disconnected`: the client went away.
 * - `cancelled`: the response's body was cancelled (a Fetch server's way to say that nobody reads).
 * - `write-failed`: the transport refused the bytes.
 * - `stalled`: the client took no byte for the stall timeout.
 * - `drained`: the server is going down or sheds load; the client should come back and resume.
 * - `expired`: the rights or the maximum age of the session ran out.
 * - `slow`: the client fell behind a topic whose policy is to disconnect.
 * - `kicked`: `hub.disconnect()` named it.
 */
export type CloseReason = (typeof CLOSE_REASONS)[number];

export const CLOSE_REASONS = [
  "finished",
  "failed",
  "aborted",
  "disconnected",
  "cancelled",
  "write-failed",
  "stalled",
  "drained",
  "expired",
  "slow",
  "kicked",
] as const;
