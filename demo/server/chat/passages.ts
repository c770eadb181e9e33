import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";

/** A piece of a document that can stand alone: a section, or a part of a long one. */
export interface Passage {
  /** The document's path below the project's folder. */
  readonly document: string;
  /** The headings above it, from the document's title down. */
  readonly headings: readonly string[];
  readonly text: string;
}

/** Longer sections are cut between paragraphs. */
const MAX_PASSAGE = 1100;
const FOLDERS = [".", "docs"];

/** The passages of the Markdown documents of this project: those at its top and those below `docs`. */
export async function readPassages(): Promise<readonly Passage[]> {
  const root = dirname(createRequire(import.meta.url).resolve("everstream/package.json"));
  const documents = await Promise.all(FOLDERS.map((folder) => listDocuments(root, folder)));
  const passages = documents.flat().map(async (document) => {
    return splitDocument(document, await readFile(join(root, document), "utf8"));
  });
  return (await Promise.all(passages)).flat();
}

async function listDocuments(root: string, folder: string): Promise<string[]> {
  try {
    const entries = await readdir(join(root, folder), { withFileTypes: true });
    const documents = entries.filter((entry) => entry.isFile() && entry.name.endsWith(".md"));
    return documents.map(({ name }) => join(folder, name)).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** Cuts Markdown at its headings, and long sections between paragraphs. */
export function splitDocument(document: string, markdown: string): Passage[] {
  const passages: Passage[] = [];
  const headings: string[] = [];
  let paragraphs: string[] = [];

  const closeSection = (): void => {
    const above = headings.filter((heading) => heading !== undefined);
    const titled = above.length > 0 ? above : [basename(document, ".md")];
    for (const text of joinParagraphs(paragraphs)) passages.push({ document, headings: titled, text });
    paragraphs = [];
  };

  for (const block of blocksOf(markdown)) {
    const [, marks, title] = /^(#{1,6})\s+(.*?)\s*#*$/.exec(block) ?? [];
    if (marks === undefined || title === undefined) {
      paragraphs.push(block);
      continue;
    }
    closeSection();
    headings.length = Math.min(headings.length, marks.length - 1);
    headings[marks.length - 1] = title.replaceAll("`", "");
  }
  closeSection();
  return passages;
}

/** Headings, code fences with all that they hold, and paragraphs. */
function blocksOf(markdown: string): string[] {
  const blocks: string[] = [];
  let block: string[] = [];
  let fence: string | undefined;
  const close = (): void => {
    const text = block.join("\n").trimEnd();
    if (text.trim() !== "") blocks.push(text);
    block = [];
  };
  for (const line of markdown.split(/\r?\n/)) {
    const mark = /^\s*(```+|~~~+)/.exec(line)?.[1];
    if (fence !== undefined) {
      block.push(line);
      if (mark?.startsWith(fence)) fence = undefined;
    } else if (mark !== undefined) {
      fence = mark;
      block.push(line);
    } else if (/^#{1,6}\s/.test(line)) {
      close();
      blocks.push(line);
    } else if (line.trim() === "") close();
    else block.push(line);
  }
  close();
  return blocks;
}

function joinParagraphs(paragraphs: readonly string[]): string[] {
  const texts: string[] = [];
  let text = "";
  for (const paragraph of paragraphs.flatMap(cutTable)) {
    if (text !== "" && text.length + paragraph.length > MAX_PASSAGE) {
      texts.push(text);
      text = "";
    }
    text = text === "" ? paragraph : `${text}\n\n${paragraph}`;
  }
  if (text !== "") texts.push(text);
  return texts;
}

/** Cuts a long table between its rows; each part keeps the head. */
function cutTable(paragraph: string): string[] {
  const [title, line, ...rows] = paragraph.split("\n");
  if (paragraph.length <= MAX_PASSAGE || !/^\s*\|[\s:|-]+$/.test(line ?? "")) return [paragraph];
  const head = `${title}\n${line}`;
  const tables: string[] = [];
  let table = head;
  for (const row of rows) {
    if (table !== head && table.length + row.length > MAX_PASSAGE) {
      tables.push(table);
      table = head;
    }
    table += `\n${row}`;
  }
  return [...tables, table];
}
