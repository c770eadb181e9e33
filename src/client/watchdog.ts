/** Notices a connection that is open but silent, when the server promised not to be. */
export interface Watchdog {
  /** Sets the longest silence that the server announced, in milliseconds; 0 for no promise. */
  expect(intervalMs: number): void;
  /** Something arrived: the silence begins anew. */
  touch(): void;
  /** Looks at once; after a sleep of the machine timers come late. */
  check(): void;
  /** Stops watching until the next `touch`: nothing is read on purpose, or nothing is open. */
  rest(): void;
}

/** An interval may be missed by the network once; two and a half of them are no accident. */
const TOLERANCE = 2.5;
/** For timers and networks that are a little late, where intervals are short. In milliseconds. */
const SLACK_MS = 1000;

/**
 * Creates a watchdog that calls `onSilent` when the silence is 2.5 times as long as promised, plus one second.
 *
 * Time is read from the clock on the wall, since that goes on while a laptop sleeps. One timer runs for all touches
 * of an interval: a touch costs one reading of the clock.
 */
export function createWatchdog(onSilent: () => void): Watchdog {
  let limitMs = 0;
  let touchedAt: number | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const stop = (): void => {
    clearTimeout(timer);
    timer = undefined;
  };
  const check = (): void => {
    if (touchedAt === undefined || limitMs === 0) return;
    const now = Date.now();
    // A clock that was set back must not add to the silence allowed.
    touchedAt = Math.min(touchedAt, now);
    const leftMs = limitMs - (now - touchedAt);
    stop();
    if (leftMs > 0) timer = setTimeout(check, leftMs);
    else {
      touchedAt = undefined;
      onSilent();
    }
  };

  return {
    expect(intervalMs) {
      limitMs = intervalMs > 0 ? intervalMs * TOLERANCE + SLACK_MS : 0;
      stop();
      check();
    },
    touch() {
      touchedAt = Date.now();
      if (timer === undefined) check();
    },
    check,
    rest() {
      touchedAt = undefined;
      stop();
    },
  };
}
