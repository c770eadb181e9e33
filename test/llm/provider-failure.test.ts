import { EverstreamError } from "everstream";
import { providerFailure } from "everstream/llm";
import { describe, expect, test, vi } from "vitest";

/** An error as the SDKs throw them. */
function apiError(status: number, fields: object = {}): Error {
  return Object.assign(new Error("secret words of the provider"), { status, requestID: "r" }, fields);
}

describe("what an error means", () => {
  const known: [string, unknown, string][] = [
    ["a used-up quota, though it is a 429", apiError(429, { code: "insufficient_quota" }), "PROVIDER_QUOTA"],
    ["a filter's refusal", apiError(400, { code: "content_filter" }), "PROVIDER_CONTENT_FILTER"],
    ["any other bad request", apiError(400), "PROVIDER_FAILED"],
    ["a server's error", apiError(500), "PROVIDER_FAILED"],
    ["a missing permission", apiError(403), "PROVIDER_AUTH"],
    [
      "Anthropic's error within a stream",
      apiError(0, { status: undefined, error: { type: "error", error: { type: "overloaded_error" } } }),
      "PROVIDER_OVERLOADED",
    ],
    [
      "the last of several attempts",
      Object.assign(new Error("failed 3 times"), { lastError: apiError(429) }),
      "PROVIDER_RATE_LIMIT",
    ],
    ["what is wrapped", new Error("chain failed", { cause: apiError(401) }), "PROVIDER_AUTH"],
    [
      "undici's broken connection",
      new TypeError("terminated", { cause: Object.assign(new Error(), { code: "ECONNRESET" }) }),
      "PROVIDER_NETWORK",
    ],
    ["a timeout", new DOMException("too late", "TimeoutError"), "PROVIDER_NETWORK"],
    ["an answer that broke off", new EverstreamError("NETWORK", "…"), "PROVIDER_NETWORK"],
    [
      "a failure told in a stream",
      new EverstreamError("PROVIDER_FAILED", "…", { cause: { code: "server_error" } }),
      "PROVIDER_FAILED",
    ],
    [
      "a limit told in a stream",
      new EverstreamError("PROVIDER_FAILED", "…", { cause: { code: "rate_limit_exceeded" } }),
      "PROVIDER_RATE_LIMIT",
    ],
  ];
  test.each(known)("%s", (_, error, code) => {
    const failure = providerFailure(error);
    expect(failure?.code).toBe(code);
    expect(failure?.message).not.toContain("secret");
  });

  test.each([
    ["an error of one's own", new Error("x")],
    ["a TypeError in one's own code", new TypeError("x is not a function")],
    ["an abort", new DOMException("aborted", "AbortError")],
    ["an abort on the way", new Error("fetch failed", { cause: new DOMException("aborted", "AbortError") })],
    ["what is no object", "x"],
    ["nothing", undefined],
  ])("nothing of a provider's: %s", (_, error) => {
    expect(providerFailure(error)).toBeUndefined();
  });

  test("an error that is its own cause", () => {
    const error: Error & { cause?: unknown } = new Error("x");
    error.cause = error;
    expect(providerFailure(error)).toBeUndefined();
  });
});

describe("how long to wait", () => {
  test.each([
    ["in seconds", { "retry-after": "2" }, 2000],
    ["in milliseconds, which is finer", { "retry-after": "1", "retry-after-ms": "250" }, 250],
    ["as a date", { "retry-after": "Thu, 01 Jan 2026 00:00:05 GMT" }, 5000],
    ["as a date gone by", { "retry-after": "Wed, 31 Dec 2025 00:00:00 GMT" }, 0],
    ["in no way that can be read", { "retry-after": "soon" }, undefined],
  ])("%s", (_, headers, expected) => {
    vi.useFakeTimers({ now: Date.UTC(2026, 0, 1), toFake: ["Date"] });
    try {
      for (const form of [{ headers: new Headers(headers) }, { responseHeaders: headers }]) {
        expect(providerFailure(apiError(429, form))?.retryAfterMs).toBe(expected);
      }
    } finally {
      vi.useRealTimers();
    }
  });
});
