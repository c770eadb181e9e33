// The timing wheel beneath heartbeats and stall checks.
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { joinPulse, leavePulse, PulseMember, pulseSize, TICK_MS } from "../../src/session/pulse.ts";

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["performance", "setInterval", "clearInterval"] });
});

afterEach(() => {
  expect(pulseSize()).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
  vi.useRealTimers();
});

class Member extends PulseMember {
  readonly calls: number[] = [];
  again: (now: number) => number;

  constructor(again: (now: number) => number = () => 0) {
    super();
    this.again = again;
  }

  onPulse(now: number): number {
    this.calls.push(now);
    return this.again(now);
  }
}

/** How late a call may come: the tick it falls into, and the one that handles it. */
const LATE = 2 * TICK_MS;

test("each member is called when it is due, and not before, also beyond one round of the wheel", () => {
  const start = performance.now();
  const members = [1, 99, 100, 101, 5_000, 51_199, 51_200, 51_300, 200_000].map((delay) => ({
    delay,
    member: new Member(),
  }));
  for (const { delay, member } of members) joinPulse(member, delay);
  vi.advanceTimersByTime(201_000);
  for (const { delay, member } of members) {
    expect(member.calls).toHaveLength(1);
    expect(member.calls[0] as number).toBeGreaterThanOrEqual(start + delay);
    expect(member.calls[0] as number).toBeLessThanOrEqual(start + delay + LATE);
  }
});

test("a member that wants to be called again is, until it says 0", () => {
  const member: Member = new Member(() => (member.calls.length < 5 ? 1000 : 0));
  joinPulse(member, 1000);
  vi.advanceTimersByTime(60_000);
  expect(member.calls).toHaveLength(5);
});

test("joining again moves, leaving twice is harmless", () => {
  const [moved, left] = [new Member(), new Member()];
  joinPulse(moved, 1000);
  joinPulse(left, 1000);
  joinPulse(moved, 5000);
  expect(pulseSize()).toBe(2);
  leavePulse(left);
  leavePulse(left);
  expect(pulseSize()).toBe(1);
  vi.advanceTimersByTime(4900);
  expect(moved.calls).toHaveLength(0);
  vi.advanceTimersByTime(500);
  expect([moved.calls.length, left.calls.length]).toEqual([1, 0]);
});

test("members may leave, join and take others away while they are called", () => {
  const victims = [new Member(), new Member()];
  const newcomer = new Member();
  const first: Member = new Member(() => {
    for (const victim of victims) leavePulse(victim);
    joinPulse(newcomer, 1);
    leavePulse(first);
    return 0;
  });
  const rejoining: Member = new Member(() => {
    if (rejoining.calls.length === 1) joinPulse(rejoining, 300);
    return rejoining.calls.length === 1 ? 1 : 0;
  });
  for (const member of [victims[0], first, rejoining, victims[1]] as Member[]) joinPulse(member, 500);
  joinPulse(victims[0] as Member, 550);
  vi.advanceTimersByTime(2000);
  expect(victims.map(({ calls }) => calls.length)).toEqual([0, 0]);
  expect([first.calls.length, newcomer.calls.length, rejoining.calls.length]).toEqual([1, 1, 2]);
});

test("after a pause of the whole process everybody who was due is called once", () => {
  const members = Array.from({ length: 700 }, () => new Member());
  for (const [index, member] of members.entries()) joinPulse(member, index * TICK_MS);
  const late = new Member();
  joinPulse(late, 1_000_000);
  // The interval fires once for a pause that is longer than a round of the wheel.
  const now = performance.now();
  vi.spyOn(performance, "now").mockImplementation(() => now + 100_000);
  vi.advanceTimersToNextTimer();
  expect(members.filter(({ calls }) => calls.length !== 1)).toEqual([]);
  expect(late.calls).toEqual([]);
  vi.mocked(performance.now).mockRestore();
  leavePulse(late);
});

test("the timer does not keep a process alive", () => {
  vi.useRealTimers();
  const set = vi.spyOn(globalThis, "setInterval");
  const member = new Member();
  joinPulse(member, 10_000);
  const [timer] = set.mock.results.map(({ value }) => value as NodeJS.Timeout);
  expect(timer?.hasRef()).toBe(false);
  leavePulse(member);
  set.mockRestore();
  vi.useFakeTimers({ toFake: ["performance", "setInterval", "clearInterval"] });
});

test("members that are due together leave turns of the event loop to others", async () => {
  vi.useRealTimers();
  const seen: ("member" | "other")[] = [];
  const work = (): number => {
    seen.push("member");
    for (const end = performance.now() + 0.05; performance.now() < end; );
    return 0;
  };
  for (let count = 0; count < 256; count++) joinPulse(new Member(work), 1);
  await new Promise<void>((resolve) => {
    const other = (): void => {
      if (seen.length > 0) seen.push("other");
      if (pulseSize() === 0) resolve();
      else setImmediate(other);
    };
    setImmediate(other);
  });
  expect(seen.filter((one) => one === "member")).toHaveLength(256);
  expect(seen.indexOf("other")).toBeLessThan(seen.lastIndexOf("member"));
  vi.useFakeTimers();
});
