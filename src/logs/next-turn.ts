type Schedule = (task: () => void) => void;

/** Runs `task` once this turn's code, and what it has resolved, has run. A Node server's log has Node's own way. */
export function nextTurn(task: () => void): void {
  const { setImmediate: immediate } = globalThis as { setImmediate?: Schedule };
  if (immediate === undefined) setTimeout(task, 0);
  else immediate(task);
}
