/** A tab's turn to lead: waited for, held, or over. */
export interface Turn {
  /** Gives it up, or stops waiting for it. May be called twice. */
  end(): void;
}

/** What becomes of a turn that was not given up. */
export interface TurnListener {
  granted(): void;
  /** Another tab took it away, because this one did not answer. */
  taken(): void;
  /** There are no locks here after all: the browser refuses them. */
  refused(): void;
}

/**
 * Waits for the lock that only the leader holds. The browser takes it back from a tab that is closed or killed, and gives
 * it to the one that has waited longest.
 *
 * @param steal Takes it at once, whoever holds it.
 */
export function takeTurn(name: string, steal: boolean, listener: TurnListener): Turn {
  const waiting = new AbortController();
  let release: (() => void) | undefined;
  let held = false;
  let over = false;
  const hold = (): Promise<void> | undefined => {
    if (over) return undefined;
    held = true;
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    listener.granted();
    return released;
  };
  const onError = (): void => {
    if (over) return;
    over = true;
    if (held) listener.taken();
    else listener.refused();
  };
  // The two options can't be had together.
  navigator.locks.request(name, steal ? { steal } : { signal: waiting.signal }, hold).catch(onError);
  return {
    end() {
      over = true;
      release?.();
      waiting.abort();
    },
  };
}
