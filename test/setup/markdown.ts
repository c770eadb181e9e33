import { posix } from "node:path";

export interface CodeBlock {
  /** What follows the three backticks: `ts`, `tsx no-check`, … */
  readonly info: string;
  readonly code: string;
  /** The line of the document on which the code begins, from 1. */
  readonly line: number;
}

/** The fenced code blocks of a document. */
export function codeBlocks(text: string): CodeBlock[] {
  const blocks: CodeBlock[] = [];
  let open: { info: string; line: number; indent: number; lines: string[] } | undefined;
  for (const [index, line] of text.split("\n").entries()) {
    const fence = /^(\s*)```(.*)$/.exec(line);
    if (open === undefined) {
      if (fence)
        open = { info: fence[2]?.trim() ?? "", line: index + 2, indent: fence[1]?.length ?? 0, lines: [] };
    } else if (fence) {
      blocks.push({ info: open.info, code: open.lines.join("\n"), line: open.line });
      open = undefined;
    } else {
      open.lines.push(line.slice(open.indent));
    }
  }
  return blocks;
}

/** Targets of the document's links and images that lead into the repository, as paths from its root with their `#anchor`. */
export function relativeLinks(path: string, text: string): string[] {
  const prose = withoutCode(text);
  const inline = [...prose.matchAll(/\]\(([^()\s]+)(?:\s+"[^"]*")?\)/g)];
  const named = [...prose.matchAll(/^\[[^\]]+\]:\s+(\S+)/gm)];
  return [...inline, ...named]
    .map((match) => match[1] ?? "")
    .filter((target) => !/^[a-z][a-z0-9+.-]*:/i.test(target))
    .map((target) => (target.startsWith("#") ? path + target : posix.join(posix.dirname(path), target)));
}

/** The anchors that a document's headings make, as code hosts derive them: lower case, hyphens, without punctuation. */
export function anchorsOf(text: string): string[] {
  const seen = new Map<string, number>();
  return [...withoutCode(text).matchAll(/^#{1,6}\s+(.+?)\s*$/gm)].map((match) => {
    const words = (match[1] ?? "").replace(/\[([^\]]*)\]\([^)]*\)/g, "$1").toLowerCase();
    const slug = words.replace(/[^\p{L}\p{N}\s_-]/gu, "").replace(/\s/g, "-");
    const count = seen.get(slug) ?? 0;
    seen.set(slug, count + 1);
    return count === 0 ? slug : `${slug}-${count}`;
  });
}

/** The document without its fenced blocks, whose lines are no headings and no links. */
function withoutCode(text: string): string {
  return text.replace(/^\s*```[^\n]*\n[\s\S]*?^\s*```\s*$/gm, "");
}
