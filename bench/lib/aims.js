/**
 * @typedef {object} Aim what a figure is to be
 * @property {string} what
 * @property {string} aim as people read it
 * @property {string} measured
 * @property {boolean | undefined} reached `undefined` where nothing was measured, as without the peer it refers to
 */

/**
 * @param {string} what
 * @param {number | undefined} value
 * @param {number} least
 * @param {(value: number) => string} show
 * @returns {Aim}
 */
export const atLeast = (what, value = Number.NaN, least, show) => ({
  what,
  aim: `≥ ${show(least)}`,
  measured: show(value),
  reached: Number.isNaN(value) ? undefined : value >= least,
});

/**
 * @param {string} what
 * @param {number | undefined} value
 * @param {number} most
 * @param {(value: number) => string} show
 * @returns {Aim}
 */
export const atMost = (what, value = Number.NaN, most, show) => ({
  what,
  aim: `≤ ${show(most)}`,
  measured: show(value),
  reached: Number.isNaN(value) ? undefined : value <= most,
});

/** @param {readonly Aim[]} aims @returns {import("./table.js").Table} */
export const aimsTable = (aims) => ({
  header: ["aims", "aim", "measured", ""],
  rows: aims.map(({ what, aim, measured, reached }) => [
    what,
    aim,
    measured,
    reached === undefined ? "not measured" : reached ? "reached" : "missed",
  ]),
});
