// Readers that come and go in the middle of a pass, when the time for writing was spent before all had their turn.
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { Audience } from "../../src/hub/audience.ts";
import type { AudienceHost } from "../../src/hub/audience-host.ts";
import type { Slice } from "../../src/hub/pump.ts";
import type { Reader } from "../../src/hub/reader.ts";
import { Ring } from "../../src/hub/ring.ts";

/** Stands for a reader, and counts its turns. */
class TestReader {
  slot = -1;
  index = 0;
  readonly fromLog = false;
  readonly outlet = { full: false };
  turns = 0;
  left = false;

  advance(slice: Slice): void {
    expect(this.left).toBe(false);
    this.turns++;
    slice.count();
  }
}

/** A slice that is spent after so many writes. */
function sliceOf(writes: number): Slice {
  let left = writes;
  const slice = {
    get spent() {
      return left <= 0;
    },
    count() {
      left--;
    },
  };
  return slice as unknown as Slice;
}

const steps = fc.array(
  fc.oneof(
    fc.record({ do: fc.constant("add" as const) }),
    fc.record({ do: fc.constant("leave" as const), at: fc.nat() }),
    fc.record({ do: fc.constant("run" as const), writes: fc.integer({ min: 1, max: 8 }) }),
  ),
  { minLength: 10, maxLength: 60 },
);

it("gives each reader one turn in a pass, and none to who has left", () => {
  void fc.assert(
    fc.property(steps, (all) => {
      const audience = new Audience(1, "t", ["t"], new Ring(0, 1000), {
        letGo: () => undefined,
      } as unknown as AudienceHost);
      audience.hold();
      const readers: TestReader[] = [];
      /** Who was there when the pass began, with their turns until then. */
      let before: Map<TestReader, number> | undefined;
      const begin = (): void => {
        before ??= new Map(readers.map((reader) => [reader, reader.turns]));
      };
      const end = (): void => {
        for (const [reader, turns] of before ?? []) {
          if (!reader.left) expect(reader.turns).toBe(turns + 1);
        }
        before = undefined;
      };
      for (const step of all) {
        if (step.do === "add") {
          const reader = new TestReader();
          readers.push(reader);
          audience.add(reader as unknown as Reader);
        } else if (step.do === "run") {
          begin();
          if (audience.run(sliceOf(step.writes))) end();
        } else if (readers.length > 0) {
          const [reader] = readers.splice(step.at % readers.length, 1) as [TestReader];
          audience.remove(reader as unknown as Reader);
          reader.left = true;
        }
      }
      for (let pass = 0; pass < 2; pass++) {
        begin();
        while (!audience.run(sliceOf(5)));
        end();
      }
    }),
    { numRuns: 2000 },
  );
});
