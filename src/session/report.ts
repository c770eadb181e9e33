import { atTurnEnd } from "./turn.ts";

/** Errors that somebody has been told of. */
const told = new WeakSet<object>();

/** Notes that an error has reached its developer. */
export function noteTold(error: unknown): void {
  if (typeof error === "object" && error !== null) told.add(error);
}

/** Where a failure goes that no caller is left to hear of. */
export function report(what: string, error: unknown): void {
  noteTold(error);
  console.error(`everstream: ${what}:`, error);
}

/** Reports a failure at the end of the turn, unless its developer has been told of it by then, or will be. */
export function reportUnlessTold(what: string, error: unknown, isAwaited: () => boolean): void {
  atTurnEnd({
    onTurnEnd() {
      const isTold = typeof error === "object" && error !== null && told.has(error);
      if (!isTold && !isAwaited()) report(what, error);
    },
  });
}
