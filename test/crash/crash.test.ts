import { expect, it } from "vitest";
import { crash } from "./harness.js";

// `npm run crash` is the long form.
const seed = Number(process.env.EVERSTREAM_SEED ?? Math.floor(Math.random() * 2 ** 31));

it(`killed at random moments, a server loses nothing that it accepted, and no reader misses or doubles an event (seed ${seed})`, async () => {
  const { faults, accepted, delivered } = await crash({ kills: 5, seed });
  expect(faults).toEqual([]);
  expect(accepted).toBeGreaterThan(0);
  expect(delivered).toBeGreaterThan(accepted);
});
