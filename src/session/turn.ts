import { OWN_TIMERS } from "./own-timers.ts";

/** Something that gathers writes during one turn of the event loop and hands them on at its end. */
export interface TurnMember {
  onTurnEnd(): void;
}

type Schedule = (task: () => void) => void;

let waiting: TurnMember[] = [];
let schedule: Schedule | undefined;

/** Calls `member.onTurnEnd()` once this turn's code has run, when I/O has its chance. One schedule for all members. */
export function atTurnEnd(member: TurnMember): void {
  if (OWN_TIMERS) {
    setTimeout(() => member.onTurnEnd(), 0);
    return;
  }
  if (waiting.push(member) > 1) return;
  asTask(endTurn);
}

/** Calls `task` at the turn's end, or, where that is being handled, at the next one's; as a task of its own. */
export function asTask(task: () => void): void {
  schedule ??= pickSchedule();
  schedule(task);
}

function endTurn(): void {
  const members = waiting;
  waiting = [];
  for (const member of members) member.onTurnEnd();
}

/** How long writers may keep one turn to themselves, in milliseconds, and after how many writes that is looked at. */
const BUDGET_MS = 1;
const CALLS_PER_LOOK = 16;
/** A burst of so many writes leaves as one, unless the work between them takes longer than this, in milliseconds. */
const BURST_CALLS = 128;
const BURST_BUDGET_MS = 10;

const RESOLVED: Promise<void> = Promise.resolve();

let startedAt = 0;
let calls = 0;
let nextTurn: { readonly promise: Promise<void>; readonly open: () => void } | undefined;

const budget: TurnMember & { running: boolean } = {
  running: false,
  onTurnEnd() {
    this.running = false;
    const gate = nextTurn;
    nextTurn = undefined;
    gate?.open();
  },
};

/**
 * What a writer that awaits its writes waits for, all of them together: nothing, until a millisecond of this turn is
 * spent, then the next one. A loop whose writes always resolve at once would never let go of the event loop: no timer
 * would fire, nobody else be served, and the client's leaving go unseen.
 */
export function breathe(): Promise<void> {
  if (OWN_TIMERS) {
    // The clock stands still there while code runs, and a promise of another request's might never be settled.
    return ++calls % BURST_CALLS === 0 ? new Promise((resolve) => setTimeout(resolve, 0)) : RESOLVED;
  }
  if (nextTurn !== undefined) return nextTurn.promise;
  if (!budget.running) {
    budget.running = true;
    startedAt = performance.now();
    calls = 0;
    atTurnEnd(budget);
  } else if (++calls % CALLS_PER_LOOK === 0 && isSpent()) {
    let open: () => void = () => undefined;
    const promise = new Promise<void>((resolve) => {
      open = resolve;
    });
    nextTurn = { promise, open };
    return promise;
  }
  return RESOLVED;
}

function isSpent(): boolean {
  return performance.now() - startedAt >= (calls < BURST_CALLS ? BURST_BUDGET_MS : BUDGET_MS);
}

/**
 * `setImmediate` runs right after the turn's I/O callbacks. Where it is missing, a message channel does the same without
 * the four milliseconds that nested timers are held to. A microtask would not do: it comes before the next `await`
 * continues, and a loop of awaited writes would leave one by one.
 */
function pickSchedule(): Schedule {
  const { setImmediate: immediate, MessageChannel: Channel } = globalThis as {
    setImmediate?: Schedule;
    MessageChannel?: typeof MessageChannel;
  };
  if (OWN_TIMERS) return (task) => setTimeout(task, 0);
  if (immediate !== undefined) return (task) => immediate(task);
  if (Channel === undefined) return (task) => setTimeout(task, 0);
  const channel = new Channel();
  const tasks: (() => void)[] = [];
  channel.port1.onmessage = () => tasks.shift()?.();
  return (task) => {
    tasks.push(task);
    channel.port2.postMessage(0);
  };
}
