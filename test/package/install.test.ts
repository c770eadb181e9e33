// The tarball, installed in an empty folder: every entry loads, says what it lacks, and brings types that hold alone.
import { copyFile, cp, mkdir, mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import ts from "typescript";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { runChild } from "../../scripts/lib/child.js";
import { packed } from "../setup/inject-packed.ts";
import { root, subpaths } from "../setup/repository.ts";
import { typeCheck } from "../setup/type-check.ts";

/** Entries that can't load without a peer library, and that library. All others load with nothing else installed. */
const NEEDS: Readonly<Record<string, string>> = {
  "everstream/hono": "hono",
  "everstream/lmdb": "lmdb",
  "everstream/nats": "@nats-io/transport-node",
  "everstream/react": "react",
  "everstream/redis": "@redis/client",
  "everstream/vue": "vue",
};

/** Entries whose types mention Node's own. All others must be usable where `@types/node` is not installed. */
const NODE_TYPES = [
  "everstream/hono",
  "everstream/lmdb",
  "everstream/nats",
  "everstream/node",
  "everstream/testing",
];

/** What a user of all entries has installed. */
const LIBRARIES = [
  "hono",
  "lmdb",
  "react",
  "vue",
  "@nats-io/transport-node",
  "@redis/client",
  "@types/react",
  "@types/node",
];

let folder = "";
/** The consumer again, with the libraries beside the package. */
let equipped = "";

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "everstream-equipped-"));
  equipped = join(folder, "consumer");
  await cp(packed().consumer, equipped, { recursive: true });
  for (const library of LIBRARIES) {
    const link = join(equipped, "node_modules", library);
    await mkdir(dirname(link), { recursive: true });
    await symlink(join(root, "node_modules", library), link);
  }
});

afterAll(() => rm(folder, { recursive: true, force: true }));

describe("in an empty folder", () => {
  it.each(subpaths.filter((subpath) => NEEDS[subpath] === undefined))(
    "%s loads without any peer",
    async (subpath) => {
      const { code, output } = await load(subpath, packed().consumer);
      expect(code, output).toBe(0);
    },
  );

  it.each(Object.entries(NEEDS).filter(([subpath]) => subpaths.includes(subpath)))(
    "%s fails with the name of what it lacks: %s",
    async (subpath, peer) => {
      const { code, output } = await load(subpath, packed().consumer);
      expect(code).toBe(1);
      expect(output).toContain("ERR_MODULE_NOT_FOUND");
      expect(output).toMatch(new RegExp(`Cannot find package '${peer}'`));
    },
  );

  it("has types that hold without any other package's", () => {
    const alone = subpaths.filter((subpath) => NEEDS[subpath] === undefined && !NODE_TYPES.includes(subpath));
    expect(typeFaults(alone, packed().consumer, [])).toEqual([]);
  });
});

describe("in use", () => {
  it("serves a hub and reads it, replay first, and then lets the process end", async () => {
    // A copy, since a file of the repository would import the repository's own package.
    const app = join(packed().consumer, "app.js");
    await copyFile(join(root, "test/setup/consumer-app.js"), app);
    const { code, output } = await runChild(process.execPath, [app], { timeoutMs: 20_000 });
    expect(code, output).toBe(0);
    expect(JSON.parse(output)).toEqual([
      ["greeting", { to: "earlier" }],
      ["greeting", { to: "live" }],
    ]);
  });
});

describe("with the peers installed", () => {
  it.each(subpaths)("%s loads", async (subpath) => {
    const { code, output } = await load(subpath, equipped);
    expect(code, output).toBe(0);
  });

  it("has sound types in every entry", () => {
    expect(typeFaults(subpaths, equipped, ["node"])).toEqual([]);
  });

  it("has sound types in a server's program, which lacks the DOM's", () => {
    expect(typeFaults(subpaths, equipped, ["node"], [])).toEqual([]);
  });
});

/** Imports an entry in a Node process of its own. */
function load(subpath: string, cwd: string) {
  const code = `await import(${JSON.stringify(subpath)})`;
  return runChild(process.execPath, ["--input-type=module", "--eval", code], { cwd });
}

const DOM = ["lib.dom.d.ts", "lib.dom.iterable.d.ts", "lib.dom.asynciterable.d.ts"];

/** What the compiler finds wrong in the package's own declarations, under a user's strictest settings. */
function typeFaults(entries: readonly string[], folder: string, types: string[], dom = DOM) {
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2022,
    lib: ["lib.es2023.d.ts", ...dom],
    module: ts.ModuleKind.NodeNext,
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    skipLibCheck: false,
    types,
  };
  const lines = entries.map((entry, index) => `export * as entry${index} from ${JSON.stringify(entry)};`);
  return typeCheck({
    folder,
    modules: new Map([["index.ts", lines.join("\n")]]),
    options,
    also: (path) => path.includes("/node_modules/everstream/"),
  });
}
