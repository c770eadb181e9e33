import { formatHello, MASKED_ERROR, parseHello } from "everstream/protocol";
import { describe, expect, it } from "vitest";

describe("the opening comment", () => {
  it("announces the heartbeat in milliseconds", () => {
    expect(formatHello({ heartbeatMs: 15_000 })).toBe("everstream heartbeat=15000");
  });

  it("comes back as it was", () => {
    for (const heartbeatMs of [0, 1, 15_000, 999_999_999]) {
      expect(parseHello(formatHello({ heartbeatMs }))).toEqual({ heartbeatMs });
    }
  });

  it("never announces less than the real interval", () => {
    expect(formatHello({ heartbeatMs: 0.2 })).toBe("everstream heartbeat=1");
  });

  it("may carry words of later versions", () => {
    expect(parseHello("everstream version=2 heartbeat=5 drain=soon")).toEqual({ heartbeatMs: 5 });
  });

  it("is told apart from other comments", () => {
    for (const comment of [
      "",
      "heartbeat=1",
      "everstream",
      " everstream heartbeat=1",
      "everstreams heartbeat=1",
      "everstream heartbeat=",
      "everstream heartbeat=1x",
      "everstream heartbeat=-1",
      "everstream xheartbeat=1",
      "everstream heartbeat=1234567890",
    ]) {
      expect(parseHello(comment)).toBeUndefined();
    }
  });
});

it("the masked error says nothing but that there was one, and can't be changed", () => {
  expect(JSON.stringify(MASKED_ERROR)).toBe('{"code":"INTERNAL_ERROR","message":"Internal error"}');
  expect(Object.isFrozen(MASKED_ERROR)).toBe(true);
});
