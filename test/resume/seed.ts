/** The seed of this run: `EVERSTREAM_SEED`, or one by chance. */
export const seed = Number(process.env.EVERSTREAM_SEED ?? Math.floor(Math.random() * 2 ** 31));

/** How much more than usual is to be done: `npm run chaos` sets it. */
export const scale = Number(process.env.EVERSTREAM_CHAOS ?? 1);

/** Numbers from 0 to 1, the same ones for the same seed (mulberry32). */
export function randomFrom(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
