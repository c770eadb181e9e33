// Work that comes in crowds: what does not fit into a turn's share waits for the next ones.
import { expect, it } from "vitest";
import { TurnShare } from "../../src/hub/turn-share.ts";

/** Takes longer than a turn's whole share. */
function workHard(): void {
  for (const end = performance.now() + 1.5; performance.now() < end; );
}

it("comes in order, a slice in each turn of the event loop, and others have their turns in between", async () => {
  const share = new TurnShare();
  const seen: (number | "other")[] = [];
  const pieces = Array.from({ length: 12 }, async (_, index) => {
    const others = share.enter();
    if (others !== undefined) await others;
    seen.push(index);
    workHard();
  });
  const other = (): void => {
    seen.push("other");
    if (!seen.includes(11)) setImmediate(other);
  };
  setImmediate(other);
  await Promise.all(pieces);
  expect(seen.filter((one) => one !== "other")).toEqual(Array.from({ length: 12 }, (_, index) => index));
  // Never more than one of them without somebody else's turn, but for the two ends of the first turn.
  const runs = seen.join(" ").split("other");
  expect(Math.max(...runs.map((run) => run.trim().split(" ").length))).toBeLessThanOrEqual(2);
});

it("begins at once where nobody else has come, in this turn or later", async () => {
  const share = new TurnShare();
  expect(share.enter()).toBeUndefined();
  workHard();
  const waits = share.enter();
  expect(waits).toBeInstanceOf(Promise);
  await waits;
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  expect(share.enter()).toBeUndefined();
});
