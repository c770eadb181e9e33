import { setTimer, type Timer } from "./timer.ts";

/** Notices a connection that is open but silent, when the server promised not to be. */
export interface Watchdog {
  /** A connection was opened: what is known of others' heartbeats is no measure for it. */
  open(): void;
  /**
   * What may be a heartbeat came. Where nothing was promised, the time between the first two is taken for a promise, and
   * a longer one after that corrects it.
   *
   * Such a guess may be wrong, and must not cost one connection after the other. Once it has made the watchdog bite, it is
   * forgotten; each connection is left alone for its first five minutes, and from then on held to the longest time between
   * two heartbeats that there was since.
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
/** How long a connection is only listened to after a guess has cost one: most heartbeats come every 15 to 60 seconds. */
const DOUBT_MS = 300_000;

/**
 * Creates a watchdog that calls `onSilent` when the silence is 2.5 times as long as promised, plus one second.
 *
 * @param mayGuess Whether a promise may be learned: a wrong guess must not cost what can't be resumed.
 */
export function createWatchdog(onSilent: () => void, mayGuess: () => boolean): Watchdog {
  let promisedMs: number | undefined;
  let learnedMs = 0;
  let doubtMs = 0;
  let openedAt = 0;
  let lastBeatAt = Number.NaN;
  let limitMs = Number.POSITIVE_INFINITY;
  let dueAt = limitMs;
  let timer: Timer | undefined;

  const rest = (): void => {
    clearTimeout(timer);
    dueAt = Number.POSITIVE_INFINITY;
  };
  const bite = (): void => {
    doubtMs = DOUBT_MS;
    learnedMs = 0;
    onSilent();
  };
  const touch = (): void => {
    rest();
    const at = Date.now();
    const intervalMs = promisedMs ?? (at - openedAt < doubtMs ? 0 : learnedMs);
    limitMs = (intervalMs || Number.POSITIVE_INFINITY) * TOLERANCE + SLACK_MS;
    dueAt = at + limitMs;
    timer = setTimer(bite, limitMs);
  };
  return {
    open() {
      openedAt = Date.now();
      lastBeatAt = Number.NaN;
      touch();
    },
    beat(announcedMs) {
      promisedMs = announcedMs ?? promisedMs;
      const at = Date.now();
      const gapMs = at - lastBeatAt;
      // Over the limit, it was not the server that was silent: the machine slept, or nothing was read.
      if (gapMs >= SLACK_MS && gapMs < limitMs && mayGuess()) learnedMs = Math.max(learnedMs, gapMs);
      lastBeatAt = at;
    },
    touch,
    check() {
      if (Date.now() >= dueAt) bite();
    },
    rest,
  };
}
