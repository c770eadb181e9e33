// The documents, held to the code: their examples compile, their links lead somewhere, their commands exist.
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { anchorsOf, type CodeBlock, codeBlocks, relativeLinks } from "../setup/markdown.ts";
import { filesBelow, manifest, readText, root, subpaths } from "../setup/repository.ts";
import { repositoryOptions, typeCheck } from "../setup/type-check.ts";

const README_LINES = 200;
const REQUIRED = [
  "README.md",
  "ARCHITECTURE.md",
  "CONTRIBUTING.md",
  "CHANGELOG.md",
  "SECURITY.md",
  "LICENSE",
];

/** Every document of the repository; not those that installed packages and test runs bring. */
const documents = [
  ...readdirSync(root),
  ...["docs", "demo", "bench", "examples", "test"]
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap(filesBelow),
]
  .filter((path) => path.endsWith(".md") && !path.includes("/node_modules/"))
  .map((path) => ({ path, text: readText(path) }));

describe("documents", () => {
  it.each(REQUIRED)("%s is there", (path) => {
    expect(existsSync(join(root, path))).toBe(true);
  });

  it("link only to files and headings that exist", () => {
    const broken = documents.flatMap(({ path, text }) =>
      relativeLinks(path, text)
        .filter((target) => !leadsSomewhere(target))
        .map((target) => `${path}: ${target}`),
    );
    expect(broken).toEqual([]);
  });

  it("name only scripts that package.json has", () => {
    const unknown = documents.flatMap(({ path, text }) =>
      [...text.matchAll(/\bnpm run ([a-z][a-z:-]*)/g)]
        .map((match) => match[1] ?? "")
        .filter((script) => manifest.scripts[script] === undefined)
        .map((script) => `${path}: npm run ${script}`),
    );
    expect(unknown).toEqual([]);
  });

  it("hold examples that compile (```ts and ```tsx, unless marked no-check)", () => {
    const blocks = documents
      .filter(({ path }) => path === "README.md" || path.startsWith("docs/"))
      .flatMap(({ path, text }) => codeBlocks(text).map((block) => ({ path, ...block })))
      .filter(({ info }) => /^(ts|tsx|typescript)$/.test(info));
    const byFile = new Map(blocks.map((block) => [fileOf(block), block]));
    const faults = typeCheck({
      folder: root,
      // `export {}` on the last line makes each a module without moving its lines.
      modules: new Map([...byFile].map(([file, { code }]) => [file, `${code}\nexport {};\n`])),
      // An example may define what it does not go on to use.
      options: { ...repositoryOptions(), noUnusedLocals: false, noUnusedParameters: false },
    });
    const report = faults.map(({ file, line, text }) => {
      const block = byFile.get(file);
      return block ? `${block.path}:${block.line + line - 1} ${text}` : text;
    });
    expect(report).toEqual([]);
  }, 120_000);
});

describe("README.md", () => {
  it(`has at most ${README_LINES} lines`, () => {
    expect(readText("README.md").trimEnd().split("\n").length).toBeLessThanOrEqual(README_LINES);
  });

  it.each(subpaths)("has a row for %s in its table of subpaths", (subpath) => {
    const rows = readText("README.md")
      .split("\n")
      .filter((line) => line.startsWith("|"));
    expect(rows.some((row) => row.split("|")[1]?.includes(`\`${subpath}\``))).toBe(true);
  });
});

function fileOf({ path, line, info }: CodeBlock & { path: string }): string {
  return `${path.replaceAll("/", "-")}-${line}.${info === "tsx" ? "tsx" : "ts"}`;
}

/** A file or folder of the repository; where the link has an anchor, a heading of that document makes it. */
function leadsSomewhere(target: string): boolean {
  const [path = "", anchor] = target.split("#");
  if (!existsSync(join(root, path))) return false;
  return anchor === undefined || !path.endsWith(".md") || anchorsOf(readText(path)).includes(anchor);
}
