import { retryDelay } from "./client.ts";
import { isPassing } from "./failure.ts";

/** How often something that is awaited is looked for. */
const LOOK_MS = 20;

/** Resolves after `ms`, or soon after `isOver` has become true. */
export async function pause(ms: number, isOver: () => boolean): Promise<void> {
  const end = performance.now() + ms;
  for (let left = ms; left > 0 && !isOver(); left = end - performance.now()) {
    await new Promise((resolve) => setTimeout(resolve, Math.min(left, LOOK_MS)));
  }
}

/** What is waited for that may happen at any time. */
export class Bell {
  readonly #waiting = new Set<() => void>();

  /** Resolves when it rings the next time, or after a while. */
  wait(withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, withinMs);
      this.#waiting.add(done);
    });
  }

  ring(): void {
    for (const done of [...this.#waiting]) done();
  }
}

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
  const end = performance.now() + withinMs;
  for (let tries = 0; ; tries++) {
    try {
      return await work(Math.max(1, end - performance.now()));
    } catch (error) {
      if (!isPassing(error) || isOver() || performance.now() >= end) throw error;
      await pause(Math.min(retryDelay(tries), end - performance.now()), isOver);
    }
  }
}
