import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { asMarkdown } from "./table.js";

/**
 * Puts each row's tables between its marks in a page, and leaves all else as it is: rows can be measured anew one by one.
 * A row without marks is added at the end.
 *
 * @param {string} file made where it is missing
 * @param {string} heading what machine, what versions, what command
 * @param {Map<string, import("./table.js").Table[]>} tables by row
 */
export function writeMarkdown(file, heading, tables) {
  let page = existsSync(file) ? readFileSync(file, "utf8") : "";
  const run = `\`\`\`text\n${new Date().toISOString().slice(0, 10)}\n${heading}\n\`\`\``;
  for (const [row, all] of tables) {
    const [begin, end] = [`<!-- figures of ${row} -->`, `<!-- end of ${row} -->`];
    const section = [begin, "", ...all.map(asMarkdown).flatMap((table) => [table, ""]), run, "", end].join(
      "\n",
    );
    const [from, to] = [page.indexOf(begin), page.indexOf(end)];
    if (from < 0 || to < from) page += `${page && "\n"}${section}\n`;
    else page = page.slice(0, from) + section + page.slice(to + end.length);
  }
  writeFileSync(file, page);
}
