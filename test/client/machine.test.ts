import type { ConnectionFailure, StreamInput, StreamState, StreamStatus } from "everstream/client";
import { describe, expect, test } from "vitest";
import { IDLE, isFinal, transition } from "../../src/client/machine.ts";

const failure: ConnectionFailure = { code: "NETWORK", message: "gone" };
const busy: ConnectionFailure = { code: "HTTP_STATUS", message: "busy", status: 503, retryAfterMs: 60_000 };

const states: Record<StreamState, StreamStatus> = {
  idle: IDLE,
  connecting: { state: "connecting", reason: "elapsed", attempt: 3, failure },
  open: { state: "open", reason: "opened", attempt: 3, openedAt: 1000 },
  stalled: { state: "stalled", reason: "silent", attempt: 3, openedAt: 1000 },
  waiting: { state: "waiting", reason: "lost", attempt: 3, failure, nextTryAt: 9000 },
  paused: { state: "paused", reason: "pause", attempt: 3, failure, nextTryAt: 9000 },
  closed: { state: "closed", reason: "close", attempt: 3 },
  failed: { state: "failed", reason: "lost", attempt: 3, failure },
};

const inputs = {
  opened: { type: "opened" },
  progress: { type: "progress" },
  silent: { type: "silent" },
  "lost, to be retried": { type: "lost", failure: busy, attempt: 4, nextTryAt: 75_000 },
  "lost for good": { type: "lost", failure: busy, attempt: 4 },
  elapsed: { type: "elapsed" },
  wake: { type: "wake" },
  pause: { type: "pause" },
  ended: { type: "ended" },
  close: { type: "close" },
} satisfies Record<string, StreamInput>;

const waiting: StreamStatus = {
  state: "waiting",
  reason: "lost",
  attempt: 4,
  failure: busy,
  nextTryAt: 75_000,
};
const failed: StreamStatus = { state: "failed", reason: "lost", attempt: 4, failure: busy };
const paused: StreamStatus = { state: "paused", reason: "pause", attempt: 0 };
const ended: StreamStatus = { state: "closed", reason: "ended", attempt: 0 };
const closed: StreamStatus = { state: "closed", reason: "close", attempt: 0 };

/** What follows on each input; what is not named leaves the state as it is. */
const table: Record<StreamState, Partial<Record<keyof typeof inputs, StreamStatus>>> = {
  idle: {
    wake: { state: "connecting", reason: "wake", attempt: 1 },
    pause: paused,
    close: closed,
  },
  connecting: {
    opened: { state: "open", reason: "opened", attempt: 3, openedAt: 5000 },
    "lost, to be retried": waiting,
    "lost for good": failed,
    pause: { ...paused, attempt: 2, failure },
    ended,
    close: closed,
  },
  open: {
    progress: { state: "open", reason: "opened", attempt: 1, openedAt: 1000 },
    silent: { state: "stalled", reason: "silent", attempt: 3, openedAt: 1000 },
    "lost, to be retried": { ...waiting, openedAt: 1000 },
    "lost for good": { ...failed, openedAt: 1000 },
    pause: paused,
    ended,
    close: closed,
  },
  stalled: {
    "lost, to be retried": { ...waiting, openedAt: 1000 },
    "lost for good": { ...failed, openedAt: 1000 },
    pause: paused,
    ended,
    close: closed,
  },
  waiting: {
    elapsed: { state: "connecting", reason: "elapsed", attempt: 4, failure },
    wake: { state: "connecting", reason: "wake", attempt: 4, failure },
    pause: { ...paused, attempt: 3, failure, nextTryAt: 9000 },
    close: closed,
  },
  paused: {
    wake: { state: "connecting", reason: "wake", attempt: 4, failure },
    close: closed,
  },
  closed: {},
  failed: {},
};

describe("every state × every input", () => {
  for (const state of Object.keys(states) as StreamState[]) {
    for (const name of Object.keys(inputs) as (keyof typeof inputs)[]) {
      const expected = table[state][name];
      test(`${state} × ${name} → ${expected?.state ?? "the same"}`, () => {
        const before = states[state];
        const after = transition(Object.freeze({ ...before }), inputs[name], 5000);
        expect(after).toEqual(expected ?? before);
      });
    }
  }
});

test("an input that means nothing gives the same value back, not an equal one", () => {
  for (const state of Object.keys(states) as StreamState[]) {
    for (const name of Object.keys(inputs) as (keyof typeof inputs)[]) {
      if (table[state][name] === undefined)
        expect(transition(states[state], inputs[name], 5000)).toBe(states[state]);
    }
  }
});

test("progress of a first attempt changes nothing, so that events cost no notification", () => {
  const open: StreamStatus = { state: "open", reason: "opened", attempt: 1, openedAt: 1000 };
  expect(transition(open, { type: "progress" }, 5000)).toBe(open);
});

test("waking does not cut short what the server asked for by Retry-After", () => {
  expect(transition(waiting, { type: "wake" }, 74_999)).toBe(waiting);
  expect(transition(waiting, { type: "wake" }, 75_000).state).toBe("connecting");
});

test("nor does being away: the wait goes on where it is not over yet, and its count of attempts with it", () => {
  const away = transition(waiting, { type: "pause" }, 20_000);
  expect(away).toEqual({ ...waiting, state: "paused", reason: "pause" });
  expect(transition(away, { type: "wake" }, 74_999)).toEqual({ ...waiting, reason: "wake" });
  expect(transition(away, { type: "wake" }, 75_000)).toEqual({
    state: "connecting",
    reason: "wake",
    attempt: 5,
    failure: busy,
  });
});

test("an attempt that the page gives up is made again, and counts once", () => {
  let status = states.connecting;
  for (let times = 0; times < 5; times++) {
    status = transition(transition(status, { type: "pause" }, 5000), { type: "wake" }, 5000);
  }
  expect(status).toEqual({ ...states.connecting, reason: "wake" });
});

test("only closed and failed are final", () => {
  const final = Object.values(states).filter(isFinal);
  expect(final.map(({ state }) => state)).toEqual(["closed", "failed"]);
});
