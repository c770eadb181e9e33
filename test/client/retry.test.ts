import type { ConnectionFailure, StreamStatus } from "everstream/client";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isTransient, judgeLoss, type RetryOptions } from "../../src/client/retry.ts";
import { parseRetryAfter } from "../../src/client/retry-after.ts";

const network: ConnectionFailure = { code: "NETWORK", message: "gone" };
const ended: ConnectionFailure = { code: "STREAM_ENDED", message: "over" };
const refused: ConnectionFailure = { code: "HTTP_STATUS", message: "no", status: 401 };
const busy: ConnectionFailure = { code: "HTTP_STATUS", message: "later", status: 503 };
const connecting: StreamStatus = { state: "connecting", attempt: 1 };
const open: StreamStatus = { state: "open", attempt: 1, openedAt: 0 };
const MAX_TIMER_MS = 2 ** 31 - 1;

interface Loss {
  readonly failure: ConnectionFailure;
  readonly status: StreamStatus;
  readonly at: number;
  readonly resumable: boolean;
  readonly retryMs: number | undefined;
  readonly random: number;
}

function judge(loss: Partial<Loss>, options: RetryOptions = {}): ReturnType<typeof judgeLoss> {
  const usual = { failure: network, status: open, at: 10_000, resumable: true, random: 0 };
  const { failure, status, resumable, retryMs, at, random } = { ...usual, ...loss };
  return judgeLoss(failure, status, resumable, retryMs, options, at, random);
}

/** The wait that follows, in milliseconds. */
function waitOf(loss: Partial<Loss>, options: RetryOptions = {}): number | undefined {
  const input = judge(loss, options);
  if (input.type !== "lost" || input.nextTryAt === undefined) return undefined;
  return input.nextTryAt - (loss.at ?? 10_000);
}

describe("the wait", () => {
  const bounds = (attempt: number, retryMs?: number): (number | undefined)[] =>
    [0, 1].map((random) => waitOf({ status: { ...connecting, attempt }, retryMs, random }));

  test("is anywhere between the floor and a bound that doubles up to the cap", () => {
    expect(bounds(1)).toEqual([1000, 2000]);
    expect(bounds(2)).toEqual([1000, 4000]);
    expect(bounds(4)).toEqual([1000, 16_000]);
    expect(bounds(5)).toEqual([1000, 30_000]);
    expect(bounds(5000)).toEqual([1000, 30_000]);
  });

  test("has the server's `retry` as its floor, and still spreads clients above it", () => {
    expect(bounds(1, 5000)).toEqual([5000, 10_000]);
    expect(bounds(9, 5000)).toEqual([5000, 30_000]);
    expect(bounds(1, 60_000)).toEqual([60_000, 120_000]);
  });

  test("is no hot loop for a server that sends `retry: 0`", () => {
    expect(bounds(1, 0)).toEqual([0, 2000]);
    expect(bounds(5, 0)).toEqual([0, 30_000]);
  });

  test("always fits a timer, and is never shorter than Retry-After and `retry` up to a day", async () => {
    const anything = fc.record({
      attempt: fc.integer({ min: 1, max: 2000 }),
      retryMs: fc.option(fc.nat({ max: Number.MAX_SAFE_INTEGER }), { nil: undefined }),
      retryAfterMs: fc.nat({ max: Number.MAX_SAFE_INTEGER }),
      minDelay: fc.nat({ max: 1e12 }),
      maxDelay: fc.integer({ min: 1, max: 1e12 }),
      random: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    await fc.assert(
      fc.property(anything, ({ attempt, retryMs, retryAfterMs, random, ...options }) => {
        const status = { ...connecting, attempt };
        const wait =
          waitOf({ failure: { ...network, retryAfterMs }, status, retryMs, random }, options) ?? -1;
        expect(Math.ceil(wait)).toBeGreaterThanOrEqual(
          Math.min(86_400_000, Math.max(retryAfterMs, retryMs ?? 0)),
        );
        expect(wait).toBeLessThanOrEqual(MAX_TIMER_MS);
      }),
    );
  });

  test("counts attempts anew after a connection that stayed as long as the longest wait", () => {
    const status = { ...open, attempt: 7 };
    expect(judge({ status, at: 29_999 })).toMatchObject({ attempt: 7 });
    expect(judge({ status, at: 30_000, random: 1 })).toMatchObject({ attempt: 1, nextTryAt: 32_000 });
  });

  test("fits a timer for options without end, too, at any throw of the dice", () => {
    for (const options of [
      { minDelay: Number.POSITIVE_INFINITY },
      { maxDelay: Number.POSITIVE_INFINITY },
      { minDelay: 1e300, maxDelay: Number.POSITIVE_INFINITY },
    ]) {
      for (const attempt of [1, 60, 2000]) {
        for (const random of [0, 0.5, 1]) {
          const wait = waitOf({ status: { ...connecting, attempt }, random }, options);
          expect(wait).toBeGreaterThanOrEqual(1000);
          expect(wait).toBeLessThanOrEqual(86_400_000);
        }
      }
    }
  });

  test("may be none where that was asked for, and is still counted", () => {
    const options = { minDelay: 0, maxDelay: 0, maxRetries: 3 };
    expect(waitOf({ status: { ...connecting, attempt: 3 } }, options)).toBe(0);
    expect(judge({ status: { ...connecting, attempt: 3 } }, options)).toMatchObject({ attempt: 3 });
    expect(waitOf({ status: { ...connecting, attempt: 4 } }, options)).toBeUndefined();
    // A connection that was opened and lost in a moment is none that stayed.
    const status = { ...open, attempt: 4 };
    expect(waitOf({ status, at: 999 }, options)).toBeUndefined();
    expect(judge({ status, at: 1000 }, options)).toMatchObject({ attempt: 1, nextTryAt: 1000 });
  });
});

describe("there is no other attempt", () => {
  test("once the budget is spent", () => {
    const status = { ...connecting, attempt: 3 };
    expect(waitOf({ status }, { maxRetries: 3 })).toBe(1000);
    expect(judge({ status }, { maxRetries: 2 })).toEqual({ type: "lost", failure: network, attempt: 3 });
  });

  test("where shouldRetry says so; it may also ask for one, or have no opinion", () => {
    expect(waitOf({}, { shouldRetry: () => false })).toBeUndefined();
    expect(waitOf({ failure: refused })).toBeUndefined();
    expect(waitOf({ failure: refused }, { shouldRetry: ({ status }) => status === 401 })).toBe(1000);
    expect(waitOf({ failure: refused }, { shouldRetry: () => undefined })).toBeUndefined();
  });

  test("where the work can't be resumed, and a break says so; a refusal speaks for itself", () => {
    expect(judge({ resumable: false })).toEqual({
      type: "lost",
      attempt: 1,
      failure: { code: "NOT_RESUMABLE", message: "Lost: gone", cause: network },
    });
    expect(judge({ resumable: false, failure: busy })).toEqual({ type: "lost", attempt: 1, failure: busy });
  });
});

describe("a good end", () => {
  test("is the end where there is to be no other attempt", () => {
    expect(judge({ failure: ended, resumable: false })).toEqual({ type: "ended" });
    expect(judge({ failure: ended, status: { ...open, attempt: 9 } }, { shouldRetry: () => false })).toEqual({
      type: "ended",
    });
  });

  test("is followed by another attempt else, and by failure once the budget was spent on nothing", () => {
    expect(waitOf({ failure: ended })).toBe(1000);
    expect(judge({ failure: ended, status: { ...open, attempt: 3 } }, { maxRetries: 2 })).toEqual({
      type: "lost",
      attempt: 3,
      failure: ended,
    });
  });
});

test("statuses that pass with time are retried, refusals are not", () => {
  const transient = (status: number): boolean => isTransient({ code: "HTTP_STATUS", message: "", status });
  expect([500, 502, 503, 504, 408, 425, 429].every(transient)).toBe(true);
  expect([301, 400, 401, 403, 404, 410, 422].some(transient)).toBe(false);
  for (const code of ["NETWORK", "STREAM_ENDED", "TIMEOUT", "STALLED", "CALLBACK_FAILED"] as const) {
    expect(isTransient({ code, message: "" })).toBe(true);
  }
  for (const code of ["EVENT_TOO_LARGE", "INVALID_OPTION"] as const) {
    expect(isTransient({ code, message: "" })).toBe(false);
  }
  expect(isTransient({ code: "CONTENT_TYPE", message: "", status: 200 })).toBe(false);
});

describe("parseRetryAfter", () => {
  const now = Date.UTC(2026, 10, 23, 12, 0, 0);
  test.each([
    ["120", 120_000],
    [" 0 ", 0],
    ["Mon, 23 Nov 2026 12:00:30 GMT", 30_000],
    ["Monday, 23-Nov-26 12:01:00 GMT", 60_000],
    ["Mon, 23 Nov 2026 11:00:00 GMT", undefined],
    ["-5", undefined],
    ["soon", undefined],
    ["", undefined],
    [null, undefined],
  ])("reads %j", (value, expected) => {
    expect(parseRetryAfter(value, now)).toBe(expected);
  });
});
