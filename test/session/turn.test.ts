// The end of a turn, on runtimes with and without `setImmediate`.
import { afterEach, beforeEach, expect, test, vi } from "vitest";

beforeEach(() => vi.resetModules());
afterEach(() => vi.unstubAllGlobals());

test.each([
  ["setImmediate", []],
  ["a message channel", ["setImmediate"]],
  ["a timer", ["setImmediate", "MessageChannel"]],
])(
  "by %s: once for all that a turn gathered, after its microtasks, and again in the next turn",
  async (_name, missing) => {
    for (const name of missing) vi.stubGlobal(name, undefined);
    const { atTurnEnd } = await import("../../src/session/turn.ts");
    const seen: string[] = [];
    const ended = (name: string): Promise<void> =>
      new Promise((resolve) => {
        atTurnEnd({
          onTurnEnd: () => {
            seen.push(name);
            resolve();
          },
        });
      });
    const first = Promise.all([ended("a"), ended("b")]);
    for (let count = 0; count < 100; count++) await Promise.resolve();
    seen.push("microtasks are done");
    await first;
    await ended("c");
    expect(seen).toEqual(["microtasks are done", "a", "b", "c"]);
  },
);

test("what is asked for while a turn ends waits for the next", async () => {
  const { atTurnEnd } = await import("../../src/session/turn.ts");
  const seen: number[] = [];
  await new Promise<void>((resolve) => {
    const member = {
      onTurnEnd: (): void => {
        if (seen.push(seen.length) < 3) atTurnEnd(member);
        else resolve();
      },
    };
    atTurnEnd(member);
  });
  expect(seen).toEqual([0, 1, 2]);
});
