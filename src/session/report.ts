import { type EverstreamErrorCode, isEverstreamError } from "../errors.ts";
import { atTurnEnd } from "./turn.ts";

/**
 * What whoever runs the server understands without a stack: its log is away or not as it has to be, or it is closing. The
 * message says all there is to say.
 */
const IN_ONE_LINE: ReadonlySet<EverstreamErrorCode> = /* @__PURE__ */ new Set<EverstreamErrorCode>([
  "LOG_FAILED",
  "LOG_UNSUITABLE",
  "LOG_LOCKED",
  "NOT_REPLICATED",
  "LOG_CLOSED",
  "HUB_CLOSED",
]);

/** While a log is away everything that is tried fails: within so long a line is said once, */
const QUIET_MS = 10_000;
/** and of those that differ, as by the names in them, so many for each code. */
const MAX_LINES = 10;

/** The lines of one code that were said within the time, and how many were not. */
interface Said {
  readonly since: number;
  readonly lines: Set<string>;
  unsaid: number;
}

const said = /* @__PURE__ */ new Map<EverstreamErrorCode, Said>();

/** Errors that somebody has been told of. */
const told = new WeakSet<object>();

/** Notes that an error has reached its developer. */
export function noteTold(error: unknown): void {
  if (typeof error === "object" && error !== null) told.add(error);
}

/** Where a failure goes that no caller is left to hear of. */
export function report(what: string, error: unknown): void {
  noteTold(error);
  if (isEverstreamError(error) && IN_ONE_LINE.has(error.code)) {
    const reason = deepestCause(error);
    if (!isBug(reason)) {
      const why = error.message.includes(reason.message) ? "" : `: ${reason.message}`;
      sayOnce(error.code, `everstream: ${what}: ${error.message} (${error.code}${why})`);
      return;
    }
  }
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

function deepestCause(error: Error): Error {
  let deepest = error;
  // A bound, since an error may be made its own cause.
  for (let depth = 0; depth < 8 && deepest.cause instanceof Error; depth++) deepest = deepest.cause;
  return deepest;
}

/** What no server does, but code that is wrong. */
function isBug(error: Error): boolean {
  return (
    error instanceof TypeError ||
    error instanceof ReferenceError ||
    error instanceof RangeError ||
    error instanceof SyntaxError
  );
}

function sayOnce(code: EverstreamErrorCode, line: string): void {
  const now = performance.now();
  let recent = said.get(code);
  let left = "";
  if (recent === undefined || now - recent.since >= QUIET_MS) {
    if (recent !== undefined && recent.unsaid > 0) left = ` ${recent.unsaid} more like it were left out.`;
    recent = { since: now, lines: new Set(), unsaid: 0 };
    said.set(code, recent);
  }
  if (recent.lines.has(line) || recent.lines.size >= MAX_LINES) {
    recent.unsaid++;
    return;
  }
  recent.lines.add(line);
  console.error(line + left);
}
