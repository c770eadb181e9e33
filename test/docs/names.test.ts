// Names that the documents give and those that the code has: exports, options with their defaults, error codes.
import { readdirSync } from "node:fs";
import ts from "typescript";
import { describe, expect, it } from "vitest";
import { readText, root, subpaths } from "../setup/repository.ts";

const pages = ["README.md", ...readdirSync(`${root}docs`).map((name) => `docs/${name}`)];
const prose = pages.map(readText).join("\n");

/** What follows a heading, up to the next one of its level or above. */
function section(page: string, heading: string): string {
  const text = readText(page);
  const start = new RegExp(`^(#+) ${heading}$`, "m").exec(text);
  if (start === null) throw new Error(`${page} has no heading "${heading}"`);
  const rest = text.slice(start.index + start[0].length);
  return rest.split(new RegExp(`^#{1,${start[1]?.length}} `, "m"))[0] ?? "";
}

/** The rows of tables whose head matches, each as the texts of its cells. */
function rowsOf(text: string, head: RegExp): string[][] {
  const tables = text.split("\n\n").filter((part) => head.test(part));
  return tables.flatMap((table) =>
    table
      .trim()
      .split("\n")
      .slice(2)
      .map((row) =>
        row
          .split(/(?<!\\)\|/)
          .slice(1, -1)
          .map((cell) => cell.trim()),
      ),
  );
}

/** The names that a cell has in backticks, without calls' parameters and what stands before a dot. */
function namesIn(cell: string): string[] {
  return [...cell.matchAll(/`(?:\w+\.)*(\w+)[^`]*`/g)].map((match) => match[1] ?? "");
}

describe("exports", () => {
  it.each(subpaths)("all values of %s stand in the documents", async (subpath) => {
    const names = Object.keys((await import(/* @vite-ignore */ subpath)) as object);
    expect(names.filter((name) => !new RegExp(`\\b${name}\\b`).test(prose))).toEqual([]);
  });

  it.each(rowsOf(readText("README.md"), /^\| import \| for \|/))(
    "%s has what README.md says",
    async (cell, text = "") => {
      const subpath = cell?.replaceAll("`", "") ?? "";
      const found = (await import(/* @vite-ignore */ subpath)) as object;
      const named = [...text.matchAll(/`(\w+)`/g)].map((match) => match[1] ?? "");
      // What it is for may be named beside what it has: other libraries' names, which never begin with our verbs.
      const ours = named.filter((name) => !/^(useChat)$/.test(name));
      expect(ours.filter((name) => !(name in found))).toEqual([]);
    },
  );
});

describe("error codes", () => {
  const declared = [...readText("src/errors.ts").matchAll(/^ {2}\| "([A-Z_]+)"/gm)].map((match) => match[1]);

  it("are all explained in docs/errors.md, and no others", () => {
    const codes = rowsOf(section("docs/errors.md", "Codes"), /^\| code \|/m).flatMap(([cell = ""]) =>
      namesIn(cell),
    );
    expect(codes.toSorted()).toEqual(declared.toSorted());
  });

  it("are all explained where they are declared", () => {
    const comment = readText("src/errors.ts").split("*/")[0] ?? "";
    expect(declared.filter((code) => !comment.includes(`\`${code}\``))).toEqual([]);
  });
});

/** The options that an interface has, with their comments. */
function optionsOf(place: string): [name: string, comment: string][] {
  const [path = "", wanted] = place.split("#");
  const source = ts.createSourceFile(path, readText(`src/${path}`), ts.ScriptTarget.Latest, true);
  const found = source.statements.find(
    (statement) => ts.isInterfaceDeclaration(statement) && statement.name.text === wanted,
  );
  if (found === undefined) throw new Error(`src/${path} has no interface ${wanted}`);
  // A comment may be for the members below it, too.
  let comment = "";
  return (found as ts.InterfaceDeclaration).members.map((member) => {
    comment =
      ts
        .getJSDocCommentsAndTags(member)
        .map((doc) => doc.getText())
        .join("\n") || comment;
    return [(member.name as ts.Identifier).text, comment];
  });
}

const STREAM = "session/options.ts#StreamOptions";
const TABLES: readonly {
  page: string;
  heading: string;
  of: readonly string[];
  besides?: readonly string[];
}[] = [
  {
    page: "docs/handlers.md",
    heading: "Options",
    of: [STREAM, "adapters/node-headers.ts#NodeStreamOptions"],
  },
  {
    page: "docs/hub.md",
    heading: "Reading over HTTP",
    of: ["hub/options.ts#RespondOptions", STREAM],
    besides: ["topics"],
  },
  {
    page: "docs/hub.md",
    heading: "Options",
    of: ["hub/options.ts#HubOptions", "hub/options.ts#HubLimits"],
    besides: ["limits"],
  },
  { page: "docs/client.md", heading: "Options", of: ["client/options.ts#EventStreamOptions"] },
  {
    page: "docs/runs.md",
    heading: "Options",
    of: ["runs/options.ts#RunsOptions", "runs/types.ts#StartOptions"],
    besides: ["hub"],
  },
  { page: "docs/logs.md", heading: "LMDB", of: ["logs/lmdb.ts#LmdbLogOptions"] },
  { page: "docs/logs.md", heading: "Redis", of: ["logs/redis/options.ts#RedisLogOptions"] },
  {
    page: "docs/nats.md",
    heading: "NATS: a log for many machines",
    of: ["logs/nats/options.ts#NatsLogOptions"],
  },
  { page: "docs/protocol.md", heading: "The wire format", of: ["protocol/parse.ts#ParserOptions"] },
];

describe.each(TABLES)("options in $page, $heading", ({ page, heading, of, besides = [] }) => {
  const rows = rowsOf(section(page, heading), /^\| (option|what `start`).*\|/m);
  const options = new Map(of.flatMap(optionsOf));

  it("are those that the code has", () => {
    const named = rows.flatMap(([cell = ""]) => namesIn(cell));
    const wanted = [...options.keys()].filter((name) => !besides.includes(name));
    expect(named.toSorted()).toEqual(wanted.toSorted());
  });

  it("have the defaults that are said in the code", () => {
    expect(wrongDefaults(rows, options)).toEqual([]);
  });
});

describe("limits in SECURITY.md", () => {
  const rows = rowsOf(section("SECURITY.md", "Limits"), /^\| option \|/m);
  const interfaces = [
    "hub/options.ts#HubOptions",
    "hub/options.ts#HubLimits",
    "hub/options.ts#RespondOptions",
    STREAM,
    "runs/options.ts#RunsOptions",
    "client/options.ts#EventStreamOptions",
  ];
  const retention: [string, string][] = optionsOf("hub/options.ts#Retention");
  const options = new Map([...interfaces.flatMap(optionsOf)]);
  options.set("retention", retention.map(([, comment]) => comment).join("\n"));

  it("are options with these defaults", () => {
    const names = rows.flatMap(([cell = ""]) => namesIn(cell));
    expect(names.length).toBeGreaterThan(10);
    expect(names.filter((name) => !options.has(name))).toEqual([]);
    expect(wrongDefaults(rows, options)).toEqual([]);
  });
});

/** What the rows of a table say of defaults, and the options' own comments do not. */
function wrongDefaults(rows: string[][], options: ReadonlyMap<string, string>): string[] {
  return rows.flatMap(([cell = "", defaults = ""]) => {
    const names = namesIn(cell);
    const parts = defaults.split(/, (?=\S)/);
    return names.flatMap((name, index) => {
      const said = parts.length === names.length ? parts[index] : defaults;
      const comment = plain(options.get(name) ?? "");
      return valuesIn(said ?? "")
        .filter((value) => !comment.includes(value))
        .map((value) => `${name}: ${value}`);
    });
  });
}

/** Figures with their units, and words in quotation marks. */
function valuesIn(text: string): string[] {
  return [...plain(text).matchAll(/\d+( [KM]iB)?|"[^"]+"/g)].map((match) => match[0].replaceAll('"', ""));
}

/** Figures without the commas that stand in them. */
function plain(text: string): string {
  return text.replace(/(\d),(?=\d{3})/g, "$1");
}
