import { describe, expect, test } from "vitest";
import { type StreamOptions, sessionSettings } from "../../src/session/options.ts";

const QUIET = new TextEncoder().encode(":\n\n");

test("the defaults are those that are documented, and are shared", () => {
  const settings = sessionSettings();
  expect(settings).toMatchObject({
    heartbeat: { everyMs: 15_000 },
    stallTimeoutMs: 30_000,
    highWaterMark: 65_536,
    maxPendingBytes: 16_777_216,
  });
  expect(settings.heartbeat?.bytes.bytes).toEqual(QUIET);
  expect(sessionSettings()).toBe(settings);
  expect(sessionSettings({})).toEqual(settings);
});

test("what is given is taken, the rest stays", () => {
  expect(sessionSettings({ stallTimeout: 0, highWaterMark: 1 })).toMatchObject({
    stallTimeoutMs: 0,
    highWaterMark: 1,
    maxPendingBytes: 16_777_216,
  });
});

describe("heartbeat", () => {
  test.each<[StreamOptions["heartbeat"], number | undefined, string | undefined]>([
    [false, undefined, undefined],
    [0, undefined, undefined],
    [{ every: 0, event: "beat" }, undefined, undefined],
    [500, 500, ":\n\n"],
    [{}, 15_000, ":\n\n"],
    [{ every: 20 }, 20, ":\n\n"],
    [{ event: "beat" }, 15_000, "event: beat\ndata: \n\n"],
    [{ event: "beat", data: "ü", every: 30 }, 30, "event: beat\ndata: ü\n\n"],
  ])("%j", (heartbeat, everyMs, text) => {
    const made = sessionSettings({ heartbeat } as StreamOptions).heartbeat;
    expect(made?.everyMs).toBe(everyMs);
    expect(made && new TextDecoder().decode(made.bytes.bytes)).toBe(text);
  });

  test.each([
    ["sse:beat", "RESERVED_TYPE"],
    ["a\nb", "INVALID_EVENT"],
  ])("refuses the type %j", (event, code) => {
    expect(() => sessionSettings({ heartbeat: { event } })).toThrow(expect.objectContaining({ code }));
  });
});

test.each(["stallTimeout", "highWaterMark", "maxPendingBytes", "heartbeat"])(
  "%s must be a sane number",
  (name) => {
    for (const value of [-1, Number.NaN, Number.POSITIVE_INFINITY, "5", null]) {
      const options = { [name]: name === "heartbeat" ? { every: value } : value } as StreamOptions;
      expect(() => sessionSettings(options)).toThrow(
        expect.objectContaining({ code: "INVALID_OPTION", message: expect.stringContaining(name) }),
      );
    }
  },
);

test.each([null, true, "15s", () => 1])("a heartbeat can't be %s", (heartbeat) => {
  const options = { heartbeat } as unknown as StreamOptions;
  expect(() => sessionSettings(options)).toThrow(
    expect.objectContaining({ code: "INVALID_OPTION", message: expect.stringContaining("heartbeat") }),
  );
});

test.each([null, 5])("options can't be %s", (options) => {
  expect(() => sessionSettings(options as unknown as StreamOptions)).toThrow(
    expect.objectContaining({ code: "INVALID_OPTION" }),
  );
});

test("durations beyond what timers hold are refused, since they would fire at once", () => {
  for (const options of [{ stallTimeout: 2 ** 31 }, { heartbeat: 2 ** 31 }]) {
    expect(() => sessionSettings(options)).toThrow(expect.objectContaining({ code: "INVALID_OPTION" }));
  }
});
