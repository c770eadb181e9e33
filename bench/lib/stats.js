/**
 * The middle value: one disturbed round in three can't move it.
 *
 * @param {number[]} values
 */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  if (sorted.length === 0) return Number.NaN;
  const upper = /** @type {number} */ (sorted[middle]);
  return sorted.length % 2 ? upper : (upper + /** @type {number} */ (sorted[middle - 1])) / 2;
}

/**
 * How one subject compares to another that ran in the same rounds: the median of the rounds' own ratios, since
 * whatever disturbs a round disturbs both.
 *
 * @param {number[]} values
 * @param {number[]} base
 */
export function pairedRatio(values, base) {
  return median(values.map((value, round) => value / /** @type {number} */ (base[round])));
}

/**
 * `items` turned by one place a round, so that nobody always comes first or after the same neighbour.
 *
 * @template T
 * @param {readonly T[]} items
 * @param {number} round
 */
export function rotated(items, round) {
  const by = items.length ? round % items.length : 0;
  return [...items.slice(by), ...items.slice(0, by)];
}
