const DIGITS = 19;

/**
 * The data of one event: its JSON is `bytes` long and holds the load generator's marker (`~`) once, followed by
 * the time of publishing, or another one that is given.
 *
 * @param {number} bytes
 * @returns {(ns?: bigint) => { t: string, pad: string }}
 */
export function eventData(bytes) {
  const pad = "x".repeat(Math.max(0, bytes - '{"t":"~","pad":""}'.length - DIGITS));
  return (ns = process.hrtime.bigint()) => ({ t: `~${ns.toString().padStart(DIGITS, "0")}`, pad });
}

const WORDS = [
  "the",
  " stream",
  " lives",
  " in",
  " a",
  " log",
  ",",
  " a",
  " connection",
  " is",
  " only",
  " a",
  " window",
];

/**
 * A token as providers send them: a word or a piece of one, with the generator's marker in it.
 *
 * @param {number} index
 */
export const token = (index) => `~${WORDS[index % WORDS.length]}`;

/** One turn of the event loop. */
export const turn = () => new Promise((resolve) => setImmediate(resolve));

/**
 * Writes tokens as a handler does that waits for each write where the server lets it wait.
 *
 * @param {number} count
 * @param {number} perTurn how many the provider hands over in one turn of the event loop; 0: all are at hand
 * @param {(token: string) => Promise<unknown> | undefined} write
 */
export async function writeTokens(count, perTurn, write) {
  for (let i = 0; i < count; i++) {
    const pending = write(token(i));
    if (pending) await pending;
    if (perTurn > 0 && i % perTurn === perTurn - 1) await turn();
  }
}
