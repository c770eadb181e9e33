/** Something that gathers writes during one turn of the event loop and hands them on at its end. */
export interface TurnMember {
  onTurnEnd(): void;
}

type Schedule = (task: () => void) => void;

let waiting: TurnMember[] = [];
let schedule: Schedule | undefined;

/** Calls `member.onTurnEnd()` once this turn's code has run, when I/O has its chance. One schedule for all members. */
export function atTurnEnd(member: TurnMember): void {
  if (waiting.push(member) > 1) return;
  schedule ??= pickSchedule();
  schedule(endTurn);
}

function endTurn(): void {
  const members = waiting;
  waiting = [];
  for (const member of members) member.onTurnEnd();
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
  if (immediate !== undefined) return (task) => immediate(task);
  if (Channel === undefined) return (task) => setTimeout(task, 0);
  const channel = new Channel();
  let next: (() => void) | undefined;
  channel.port1.onmessage = () => next?.();
  return (task) => {
    next = task;
    channel.port2.postMessage(0);
  };
}
