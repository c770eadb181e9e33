// What producers write, and the harness expects.

/**
 * The n-th piece of a run's text. Each says whose it is and where it belongs, so that any text is right or wrong by itself.
 *
 * @param {string} id
 * @param {number} n
 */
export const pieceOf = (id, n) => `${id}.${n.toString(36)} `;

/** How many pieces a text has. @param {string} text */
export const countOf = (text) => text.split(" ").length - 1;

/**
 * The text after so many pieces.
 *
 * @param {string} id
 * @param {number} count
 */
export const textAfter = (id, count) => Array.from({ length: count }, (_, n) => pieceOf(id, n)).join("");

/** The producer's own event; when it is acknowledged, so is all text before it. */
export const MARK = "mark";
