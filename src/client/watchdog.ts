/** Notices a connection that is open but silent, when the server promised not to be. */
export interface Watchdog {
  /** A connection was opened: what is known of others' heartbeats is no measure for it. */
  open(): void;
  /**
   * What may be a heartbeat came. Where nothing was promised, the time between the first two of a connection is taken
   * for a promise. It is forgotten when the watchdog bites: what was learned may have been wrong, and must not cost one
   * connection after the other.
   *
   * @param promisedMs The longest silence that the server announces with it, from the next touch on; 0 for no promise,
   *   `undefined` where nothing new was said.
   */
  beat(promisedMs?: number | undefined): void;
  /** Something arrived: the silence begins anew. */
  touch(): void;
  /** Looks at once, by the clock on the wall; timers stand still while a laptop sleeps. */
  check(): void;
  /** Stops watching until the next `touch`: nothing is read on purpose, or nothing is open. */
  rest(): void;
}

/** An interval may be missed by the network once; two and a half of them are no accident. */
const TOLERANCE = 2.5;
/**
 * For timers and networks that are a little late, where intervals are short. In milliseconds. What is repeated faster
 * is no heartbeat.
 */
const SLACK_MS = 1000;

/**
 * Creates a watchdog that calls `onSilent` when the silence is 2.5 times as long as promised, plus one second.
 *
 * @param mayGuess Whether a promise may be learned: a wrong guess must not cost what can't be resumed.
 */
export function createWatchdog(onSilent: () => void, mayGuess: () => boolean): Watchdog {
  let promisedMs: number | undefined;
  let learnedMs = 0;
  let lastBeatAt = Number.NaN;
  let dueAt = Number.POSITIVE_INFINITY;
  let timer: ReturnType<typeof setTimeout> | undefined;

  const rest = (): void => {
    clearTimeout(timer);
    dueAt = Number.POSITIVE_INFINITY;
  };
  const bite = (): void => {
    learnedMs = 0;
    onSilent();
  };
  const touch = (): void => {
    const intervalMs = promisedMs ?? learnedMs;
    rest();
    if (intervalMs === 0) return;
    const limitMs = intervalMs * TOLERANCE + SLACK_MS;
    dueAt = Date.now() + limitMs;
    timer = setTimeout(bite, limitMs);
  };
  return {
    open() {
      lastBeatAt = Number.NaN;
      touch();
    },
    beat(announcedMs) {
      promisedMs = announcedMs ?? promisedMs;
      const at = Date.now();
      if (at - lastBeatAt >= SLACK_MS && mayGuess()) learnedMs ||= at - lastBeatAt;
      lastBeatAt = at;
    },
    touch,
    check() {
      if (Date.now() >= dueAt) bite();
    },
    rest,
  };
}
