// What reaches the console of failures that no caller is left to hear of.
import { EverstreamError } from "everstream";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { report as Report } from "../../src/session/report.ts";

let report: typeof Report;
const printed = vi.spyOn(console, "error").mockImplementation(() => undefined);

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ["performance"] });
  // What was said is remembered by the module.
  vi.resetModules();
  ({ report } = await import("../../src/session/report.ts"));
  printed.mockClear();
});
afterEach(() => void vi.useRealTimers());

const refused = (): Error => new Error("connect ECONNREFUSED 127.0.0.1:6379");
const away = (message = "Redis could not be reached."): EverstreamError =>
  new EverstreamError("LOG_FAILED", message, {
    cause: new Error("closed", { cause: refused() }),
  });

/** Each call's arguments; a line is one string. */
const lines = (): unknown[] => printed.mock.calls.map((call) => (call.length === 1 ? call[0] : call));

describe("a failure that whoever runs the server understands", () => {
  test("is one line, with its code and what is at the bottom of it", () => {
    report("A stream could not be opened", away());
    report("A run could not be written", new EverstreamError("HUB_CLOSED", "This hub was closed."));
    expect(lines()).toEqual([
      "everstream: A stream could not be opened: Redis could not be reached. (LOG_FAILED: connect ECONNREFUSED 127.0.0.1:6379)",
      "everstream: A run could not be written: This hub was closed. (HUB_CLOSED)",
    ]);
  });

  test("does not say twice what its message has already", () => {
    report("Opening failed", away("No connection: connect ECONNREFUSED 127.0.0.1:6379."));
    expect(lines()).toEqual([
      "everstream: Opening failed: No connection: connect ECONNREFUSED 127.0.0.1:6379. (LOG_FAILED)",
    ]);
  });

  test("is said once in ten seconds, then with how often it was not", () => {
    for (let n = 0; n < 100; n++) report("Reading failed", away());
    expect(lines()).toHaveLength(1);
    vi.advanceTimersByTime(10_000);
    for (let n = 0; n < 100; n++) report("Reading failed", away());
    expect(lines()).toHaveLength(2);
    expect(lines()[1]).toBe(`${lines()[0]} 99 more like it were left out.`);
  });

  test("is bounded also where each line has another name in it, and hides none of another code", () => {
    for (let n = 0; n < 1000; n++) report(`The run ${n} could not be written`, away());
    expect(lines()).toHaveLength(10);
    report("The run 1 could not be written", new EverstreamError("LOG_UNSUITABLE", "Redis is too old."));
    expect(lines()).toHaveLength(11);
  });
});

describe("what is a defect keeps its stack", () => {
  test("each time, and also beneath a log that failed", () => {
    const wrong = new TypeError("x is not a function");
    const beneath = new EverstreamError("LOG_FAILED", "The log could not store.", { cause: wrong });
    const conflict = new EverstreamError("CONFLICT", "The topic has moved on.");
    for (const error of [wrong, wrong, beneath, beneath, conflict, "text"]) report("It failed", error);
    expect(lines()).toEqual(
      [wrong, wrong, beneath, beneath, conflict, "text"].map((error) => ["everstream: It failed:", error]),
    );
  });
});
