/**
 * Numbers as people compare them: 1,234,567 · 12.3 · 0.45.
 *
 * @param {number} value
 */
export function number(value) {
  if (!Number.isFinite(value)) return "–";
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/** @param {number} value */
export const whole = (value) => (Number.isFinite(value) ? Math.round(value).toLocaleString("en-US") : "–");

/** @param {number} value */
export const times = (value) => (Number.isFinite(value) ? `${number(value)} ×` : "–");

/** @param {number} value a share of 1 */
export const percent = (value) => (Number.isFinite(value) ? `${Math.round(value * 100)} %` : "–");

/** @param {number} us microseconds, shown as milliseconds */
export const ms = (us) => (Number.isFinite(us) ? `${number(us / 1000)} ms` : "–");

/**
 * @typedef {object} Table
 * @property {string} [title]
 * @property {string[]} header
 * @property {string[][]} rows the first column goes to the left, all others to the right
 * @property {string[]} [notes]
 */

/** @param {Table} table for a terminal */
export function asText({ title, header, rows, notes = [] }) {
  const widths = header.map((cell, column) =>
    Math.max(cell.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  /** @param {string[]} cells */
  const line = (cells) =>
    `  ${cells
      .map((cell, column) => {
        const width = /** @type {number} */ (widths[column]);
        return column === 0 ? cell.padEnd(width) : cell.padStart(width);
      })
      .join("   ")}`.trimEnd();
  return [
    ...(title ? [title] : []),
    line(header),
    `  ${"─".repeat(widths.reduce((sum, width) => sum + width + 3, -3))}`,
    ...rows.map(line),
    ...notes.map((note) => `  ${note}`),
  ].join("\n");
}

/** @param {Table} table */
export function asMarkdown({ title, header, rows, notes = [] }) {
  /** @param {string[]} cells */
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [
    ...(title ? [`**${title}**`, ""] : []),
    line(header),
    line(header.map((_, column) => (column === 0 ? "---" : "---:"))),
    ...rows.map(line),
    ...notes.flatMap((note) => ["", note]),
  ].join("\n");
}
