import { createListeners, type Unsubscribe } from "./listeners.ts";
import { setTimer, type Timer } from "./timer.ts";

/** Who wants to hear of a store's changes. */
export interface Subscribers {
  /** Calls `listener` after each change. The function it returns may be called twice. */
  subscribe(listener: () => void): Unsubscribe;
  /** Tells all of a change. */
  emit(): void;
  /** Whether there is anybody now. */
  isEmpty(): boolean;
}

/**
 * Views come and go in moments: React's StrictMode unmounts each once, a change of route mounts the same stream in
 * another place. Connections should not.
 */
export const LINGER_MS = 250;

/**
 * Subscribers whose first and last mean something.
 *
 * @param onFirst Called with the first one. What it returns is called when there are none any more, unless another first one
 *   has come by then.
 * @param lingerMs How long they have to be gone for that. Default: it is called at once.
 */
export function createSubscribers(onFirst: () => () => void, lingerMs?: number): Subscribers {
  const listeners = createListeners<undefined>();
  let count = 0;
  let onLast: () => void;
  let timer: Timer | undefined;
  return {
    subscribe(listener) {
      clearTimeout(timer);
      // It may throw: then nobody has come, and the next one is the first.
      if (!count) onLast = onFirst();
      count++;
      const remove = listeners.add(listener);
      return () => {
        if (!remove() || --count > 0) return;
        if (lingerMs === undefined) onLast();
        else timer = setTimer(onLast, lingerMs);
      };
    },
    emit: listeners.emit as () => void,
    isEmpty: () => !count,
  };
}
