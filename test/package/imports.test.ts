// Keeps the direction of imports: which room may know which, who may touch Node, and who may touch a peer library.
import { posix } from "node:path";
import { describe, expect, it } from "vitest";
import { type Reach, reachesOf } from "../setup/module-graph.ts";
import { filesBelow, manifest, readText } from "../setup/repository.ts";

/**
 * The rooms of `src`, and what each may import: rooms, or single files where it says so. Every room may import itself,
 * `errors` and `input`.
 */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  errors: [],
  input: [],
  protocol: [],
  session: ["protocol"],
  schema: ["protocol"],
  hub: ["protocol", "session", "schema"],
  logs: ["protocol", "hub", "schema"],
  runs: ["protocol", "session", "hub"],
  llm: ["protocol", "runs"],
  adapters: ["protocol", "session", "hub", "runs"],
  client: ["protocol", "schema"],
  react: ["client"],
  vue: ["client"],
  svelte: ["client"],
  testing: ["protocol", "session", "hub", "logs", "runs", "client"],
  server: ["protocol", "session", "hub", "logs", "runs", "adapters"],
  cli: ["protocol", "session", "hub", "logs", "runs", "adapters", "client", "server"],
  index: ["protocol", "schema", "session", "hub", "logs", "runs", "adapters/fetch"],
};

/** Who may import from `node:`, and use Node's globals. */
const NODE_FILES = [
  /^src\/session\/node-sink\.ts$/,
  /^src\/adapters\/node[./-]/,
  /^src\/logs\/lmdb[./-]/,
  /^src\/client\/node[./-]/,
  /^src\/(testing|server|cli)\//,
];

/** Who may read `process.env`. The reference application may too, and lies outside `src`. */
const ENV_FILES = [/^src\/(server|cli)\//];

/** Peer libraries, and who may import them. A package that is not listed here may not be imported at all. */
const PEER_FILES: Readonly<Record<string, readonly RegExp[]>> = {
  hono: [/^src\/adapters\/hono[./-]/],
  lmdb: [/^src\/logs\/lmdb[./-]/],
  react: [/^src\/react\//],
  "@redis/client": [/^src\/logs\/redis[./]/],
  vue: [/^src\/vue\//],
  "@nats-io/transport-node": [/^src\/logs\/nats[./]/],
};

const files = filesBelow("src").filter((path) => /\.tsx?$/.test(path));
const cases = files.map((path) => ({ path, reaches: reachesOf(path, readText(path)) }));

describe("direction of imports", () => {
  it.each(cases)("$path", ({ path, reaches }) => {
    expect(reaches.flatMap((reach) => faultOf(path, reach) ?? [])).toEqual([]);
  });

  it("has a rule for every room of src", () => {
    expect(files.map(roomOf).filter((room) => ROOMS[room] === undefined)).toEqual([]);
  });

  it("has a rule for every peer dependency", () => {
    expect(Object.keys(PEER_FILES)).toEqual(expect.arrayContaining(Object.keys(manifest.peerDependencies)));
  });
});

describe("the rules themselves", () => {
  it.each([
    ["src/protocol/parse.ts", `import { a } from "../session/session.ts"`, "protocol may not know session"],
    ["src/react/hook.ts", `export type { A } from "../protocol/wire.ts"`, "react may not know protocol"],
    ["src/hub/hub.ts", `const a = await import("../runs/runs.ts")`, "hub may not know runs"],
    ["src/hub/hub.ts", `let a: import("../client/index.ts").A`, "hub may not know client"],
    ["src/hub/hub.ts", `import type { Socket } from "node:net"`, "may not import node:net"],
    ["src/hub/hub.ts", `import { App } from "hono/app"`, "may not import hono/app"],
    ["src/hub/hub.ts", `import { a } from "lodash"`, "may not import lodash"],
    ["src/index.ts", `export { a } from "./adapters/hono.ts"`, "index may not know adapters"],
    ["src/hub/hub.ts", `const a = Buffer.alloc(1)`, "may not use Buffer.alloc"],
    ["src/adapters/node.ts", `const a = process.env.PORT`, "may not read process.env"],
  ])("refuse, in %s: %s", (path, text, fault) => {
    expect(reachesOf(path, text).map((reach) => faultOf(path, reach))).toEqual([`line 1: ${fault}`]);
  });

  it.each([
    ["src/hub/hub.ts", `import { encodeEvent } from "../protocol/index.ts"`],
    ["src/hub/hub.ts", `import { EverstreamError } from "../errors.ts"`],
    ["src/index.ts", `export { a } from "./adapters/fetch.ts"`],
    ["src/session/turn.ts", `const a = globalThis.setImmediate; const b = { process: 1 }.process`],
    ["src/session/turn.ts", `const { setImmediate: immediate } = globalThis`],
    ["src/session/sink.ts", `const a = typeof Buffer === "undefined" ? new Uint8Array(1) : Buffer.alloc(1)`],
    ["src/hub/channels.ts", `const a = globalThis.process?.getBuiltinModule?.("node:diagnostics_channel")`],
    ["src/adapters/node.ts", `import { a } from "node:http"; const b = Buffer.alloc(1)`],
    ["src/adapters/hono.ts", `import type { Context } from "hono"`],
  ])("allow, in %s: %s", (path, text) => {
    expect(reachesOf(path, text).flatMap((reach) => faultOf(path, reach) ?? [])).toEqual([]);
  });
});

/** The first folder below `src`, or the name of a file that lies right in it. */
function roomOf(path: string): string {
  return path.split("/")[1]?.replace(/\.tsx?$/, "") ?? "";
}

function faultOf(path: string, reach: Reach): string | undefined {
  const fault = reach.kind === "global" ? globalFault(path, reach.name) : importFault(path, reach.name);
  return fault && `line ${reach.line}: ${fault}`;
}

function importFault(path: string, name: string): string | undefined {
  if (name.startsWith(".")) {
    const from = roomOf(path);
    const target = posix.join(posix.dirname(path), name);
    const to = roomOf(target);
    const file = target.replace(/^src\//, "").replace(/\.tsx?$/, "");
    if (
      from === to ||
      (to === "input" && from !== "errors") ||
      to === "errors" ||
      ROOMS[from]?.some((known) => known === to || known === file)
    )
      return undefined;
    return `${from} may not know ${to}`;
  }
  const owner = name.startsWith("@") ? name.split("/", 2).join("/") : name.split("/", 1).join("");
  const allowed = name.startsWith("node:") ? NODE_FILES : (PEER_FILES[owner] ?? []);
  return matches(path, allowed) ? undefined : `may not import ${name}`;
}

function globalFault(path: string, name: string): string | undefined {
  if (name === "process.env") return matches(path, ENV_FILES) ? undefined : "may not read process.env";
  return matches(path, NODE_FILES) ? undefined : `may not use ${name}`;
}

function matches(path: string, patterns: readonly RegExp[]): boolean {
  return patterns.some((pattern) => pattern.test(path));
}
