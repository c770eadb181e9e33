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
