/** Runs a task once for any number of requests, with the screen's next frame. */
export interface FrameTask {
  request(): void;
  /** Runs the task now, if it was requested. */
  flush(): void;
}

// Screens with 120 Hz and more would draw text oftener than anybody reads it. A little under a frame at 60 Hz.
const MIN_INTERVAL_MS = 15;
/** For pages that draw no frames: hidden ones, and what is no page at all. */
const TIMER_MS = 100;

/**
 * Creates a task that runs at most once a frame and at most 60 times a second. A hidden page draws no frames, also
 * when it is hidden after the request: there a timer takes the frame's place, which such pages slow down themselves.
 */
export function createFrameTask(task: () => void): FrameTask {
  let frame: number | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let lastRun = Number.NEGATIVE_INFINITY;

  const run = (): void => {
    if (frame) cancelAnimationFrame(frame);
    clearTimeout(timer);
    frame = timer = undefined;
    lastRun = performance.now();
    task();
  };
  const onFrame = (): void => {
    if (performance.now() - lastRun < MIN_INTERVAL_MS) frame = requestAnimationFrame(onFrame);
    else run();
  };

  return {
    request() {
      if (timer) return;
      timer = setTimeout(run, TIMER_MS);
      frame = globalThis.requestAnimationFrame?.(onFrame);
    },
    flush() {
      if (timer) run();
    },
  };
}
