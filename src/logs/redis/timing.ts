import { retryDelay } from "./client.ts";
import { isPassing } from "./failure.ts";

/** How often something that is awaited is looked for. */
const LOOK_MS = 20;

/** Resolves after `ms`, or soon after `isOver` has become true. */
export async function pause(ms: number, isOver: () => boolean): Promise<void> {
  const end = Date.now() + ms;
  for (let left = ms; left > 0 && !isOver(); left = end - Date.now()) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(left, LOOK_MS)));
  }
}

type Schedule = (work: () => void) => unknown;

/** Does it in a turn of the event loop of its own. */
export const soon: Schedule =
  (globalThis as { setImmediate?: Schedule }).setImmediate ?? ((work) => setTimeout(work, 0));

/**
 * Does something again as long as it fails with what passes, and the time is not over. Rejects with the last failure.
 *
 * @param work Is told how much time is left.
 */
export async function persist<Result>(
  withinMs: number,
  isOver: () => boolean,
  work: (leftMs: number) => Promise<Result>,
): Promise<Result> {
  const end = Date.now() + withinMs;
  for (let tries = 0; ; tries++) {
    try {
      return await work(Math.max(1, end - Date.now()));
    } catch (error) {
      if (!isPassing(error) || isOver() || Date.now() >= end) throw error;
      await pause(Math.min(retryDelay(tries), end - Date.now()), isOver);
    }
  }
}
