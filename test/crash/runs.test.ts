import { expect, it } from "vitest";
import { crashRuns } from "./runs-harness.js";

// `npm run crash` is the long form.
const seed = Number(process.env.EVERSTREAM_SEED ?? Math.floor(Math.random() * 2 ** 31));

it(`runs whose server is killed end once as abandoned, with all that was acknowledged, for all readers (seed ${seed})`, async () => {
  const { faults, states } = await crashRuns({ kills: 4, seed, goesOn: false });
  expect(faults).toEqual([]);
  expect(states.abandoned).toBeGreaterThan(0);
});

it(`runs whose server is killed go on in the next one, for all readers as if nothing had been (seed ${seed})`, async () => {
  const { faults, states, takeovers } = await crashRuns({ kills: 4, seed, goesOn: true });
  expect(faults).toEqual([]);
  expect(states.done).toBeGreaterThan(0);
  expect(takeovers).toBeGreaterThan(0);
});
