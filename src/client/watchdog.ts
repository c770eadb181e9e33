/** Notices a connection that is open but silent, when the server promised not to be. */
export interface Watchdog {
  /**
   * Sets the longest silence that the server announced, in milliseconds, from the next touch on; 0 for no promise,
   * `undefined` where nothing new was said.
   */
  expect(intervalMs: number | undefined): void;
  /** Something arrived: the silence begins anew. */
  touch(): void;
  /** Looks at once, by the clock on the wall; timers stand still while a laptop sleeps. */
  check(): void;
  /** Stops watching until the next `touch`: nothing is read on purpose, or nothing is open. */
  rest(): void;
}

/** An interval may be missed by the network once; two and a half of them are no accident. */
const TOLERANCE = 2.5;
/** For timers and networks that are a little late, where intervals are short. In milliseconds. */
const SLACK_MS = 1000;

/** Creates a watchdog that calls `onSilent` when the silence is 2.5 times as long as promised, plus one second. */
export function createWatchdog(onSilent: () => void): Watchdog {
  let limitMs = 0;
  let dueAt = Number.POSITIVE_INFINITY;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const rest = (): void => {
    clearTimeout(timer);
    dueAt = Number.POSITIVE_INFINITY;
  };
  return {
    expect(intervalMs) {
      if (intervalMs !== undefined) limitMs = intervalMs && intervalMs * TOLERANCE + SLACK_MS;
    },
    touch() {
      rest();
      if (limitMs === 0) return;
      dueAt = Date.now() + limitMs;
      timer = setTimeout(onSilent, limitMs);
    },
    check() {
      if (Date.now() >= dueAt) onSilent();
    },
    rest,
  };
}
