import { OWN_TIMERS } from "./own-timers.ts";
import { asTask } from "./turn.ts";

/**
 * One timer for all sessions. Heartbeats and stall checks hang on a timing wheel, so that ten thousand idle sessions
 * cost one timer, and joining, leaving and moving are O(1). Due times are met to about {@link TICK_MS}.
 */

export const TICK_MS = 100;
const SLOTS = 512;
/** How long a turn of the event loop may be used, in milliseconds, and after how many calls that is looked at. */
const SLICE_MS = 0.5;
const CALLS_PER_LOOK = 32;

/** A link of one slot's circular list. Sessions extend it, so that being on the wheel allocates nothing. */
abstract class PulseLink {
  /** @internal */
  pulsePrevious: PulseLink | undefined;
  /** @internal */
  pulseNext: PulseLink | undefined;
}

export abstract class PulseMember extends PulseLink {
  /** When it is due, in milliseconds of `performance.now()`. @internal */
  pulseDue = 0;
  /** Called when due. Returns in how many milliseconds it wants to be called again, or 0 to leave. @internal */
  abstract onPulse(now: number): number;
}

class Slot extends PulseLink {
  constructor() {
    super();
    this.pulsePrevious = this;
    this.pulseNext = this;
  }
}

const wheel: readonly Slot[] = Array.from({ length: SLOTS }, () => new Slot());
let members = 0;
/** The last tick that was handled. */
let current = 0;
let timer: ReturnType<typeof setInterval> | undefined;
/** In place of the wheel, where timers can't be shared. */
const ownTimers = new WeakMap<PulseMember, ReturnType<typeof setTimeout>>();

const tickOf = (time: number): number => Math.floor(time / TICK_MS);

/** Puts `member` on the wheel, or moves it there. */
export function joinPulse(member: PulseMember, delayMs: number): void {
  if (OWN_TIMERS) {
    setOwnTimer(member, delayMs);
    return;
  }
  const now = performance.now();
  if (member.pulseNext === undefined) members++;
  else unlink(member);
  startTimer(now);
  insert(member, now + delayMs);
}

/** Takes `member` off the wheel; one that is not on it stays off. */
export function leavePulse(member: PulseMember): void {
  if (OWN_TIMERS) {
    clearOwnTimer(member);
    return;
  }
  if (member.pulseNext === undefined) return;
  unlink(member);
  if (--members === 0) stopTimer();
}

/** How many members the wheel holds: what tests watch to see that nothing is left behind. @internal */
export function pulseSize(): number {
  return members;
}

function setOwnTimer(member: PulseMember, delayMs: number): void {
  clearOwnTimer(member);
  members++;
  const call = (): void => {
    clearOwnTimer(member);
    const nextMs = member.onPulse(performance.now());
    // `onPulse` may have set it again itself.
    if (nextMs > 0 && !ownTimers.has(member)) setOwnTimer(member, nextMs);
  };
  ownTimers.set(member, setTimeout(call, delayMs));
}

function clearOwnTimer(member: PulseMember): void {
  clearTimeout(ownTimers.get(member));
  if (ownTimers.delete(member)) members--;
}

function insert(member: PulseMember, due: number): void {
  // A whole number is kept in the object itself, any other beside it.
  member.pulseDue = Math.ceil(due);
  const tick = Math.max(tickOf(due), current + 1);
  link(member, wheel[tick % SLOTS] as Slot);
}

function link(member: PulseLink, slot: Slot): void {
  const last = slot.pulsePrevious as PulseLink;
  member.pulsePrevious = last;
  member.pulseNext = slot;
  last.pulseNext = member;
  slot.pulsePrevious = member;
}

function unlink(member: PulseLink): void {
  const { pulsePrevious: previous, pulseNext: next } = member;
  (previous as PulseLink).pulseNext = next;
  (next as PulseLink).pulsePrevious = previous;
  member.pulsePrevious = undefined;
  member.pulseNext = undefined;
}

function startTimer(now: number): void {
  if (timer !== undefined) return;
  current = tickOf(now);
  timer = setInterval(tick, TICK_MS);
  // Open connections keep a process alive, their heartbeat must not.
  if (typeof timer === "object") timer.unref();
}

function stopTimer(): void {
  clearInterval(timer);
  timer = undefined;
}

function tick(): void {
  const now = performance.now();
  const target = tickOf(now);
  // After a long pause of the process one round of the wheel sees every slot; more rounds would see nothing new.
  const first = Math.max(current + 1, target - SLOTS + 1);
  for (let at = first; at <= target; at++) {
    current = at;
    visit(wheel[at % SLOTS] as Slot);
  }
}

function visit(slot: Slot): void {
  if (slot.pulseNext === slot) return;
  // Members may leave, or end others, while they are called: work on a list of what was there at the start.
  const due = new Slot();
  due.pulseNext = slot.pulseNext;
  due.pulsePrevious = slot.pulsePrevious;
  (due.pulseNext as PulseLink).pulsePrevious = due;
  (due.pulsePrevious as PulseLink).pulseNext = due;
  slot.pulseNext = slot;
  slot.pulsePrevious = slot;
  callDue(due);
}

/** In slices: sessions that were opened together are due together. */
function callDue(due: Slot): void {
  const now = performance.now();
  let calls = 0;
  for (let member = due.pulseNext; member !== due; member = due.pulseNext) {
    if (++calls % CALLS_PER_LOOK === 0 && performance.now() - now >= SLICE_MS) {
      asTask(() => callDue(due));
      return;
    }
    call(member as PulseMember, now);
  }
}

function call(member: PulseMember, now: number): void {
  unlink(member);
  members--;
  const delayMs = member.pulseDue > now ? member.pulseDue - now : member.onPulse(now);
  // `onPulse` may have put the member back itself, or ended it.
  if (delayMs > 0 && member.pulseNext === undefined) {
    members++;
    insert(member, now + delayMs);
  }
  if (members === 0) stopTimer();
}
