// What users' bundles grow by. Budgets are in bytes (1 kB = 1,000) after minifying and gzip.
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { rolldown } from "rolldown";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { packed } from "../setup/inject-packed.ts";

/** `beyond` names the row whose size is taken off first: what an entry adds for those who have the other. */
const BUDGETS = [
  { name: "protocol parser", code: `export { createParser } from "everstream/protocol";`, limit: 1300 },
  { name: "openEventStream", code: `export { openEventStream } from "everstream/client";`, limit: 5000 },
  {
    name: "runs",
    code: `export { createRunStore, openEventStream } from "everstream/client";`,
    limit: 2500,
    beyond: "openEventStream",
  },
  {
    name: "React hooks",
    code: `export { useEventStream, useEventStreamStatus, useSSE } from "everstream/react"; export { openEventStream } from "everstream/client";`,
    limit: 2000,
    beyond: "openEventStream",
  },
  // With `useRun`, for those who have runs in the client.
  {
    name: "React entry",
    code: `export * from "everstream/react"; export { createRunStore, openEventStream } from "everstream/client";`,
    limit: 2000,
    beyond: "runs",
  },
  {
    name: "Vue composables",
    code: `export * from "everstream/vue"; export { createRunStore, openEventStream } from "everstream/client";`,
    limit: 1400,
    beyond: "runs",
  },
  {
    name: "Svelte stores",
    code: `export * from "everstream/svelte"; export { createRunStore, openEventStream } from "everstream/client";`,
    limit: 1100,
    beyond: "runs",
  },
] as const;

type Budget = (typeof BUDGETS)[number];

const measured: string[] = [];
let folder = "";

beforeAll(async () => {
  folder = join(packed().consumer, "bundles");
  await mkdir(folder);
});

afterAll(async () => {
  process.stdout.write(`\nbundled, minified, gzip:\n${measured.join("\n")}\n\n`);
  await rm(folder, { recursive: true, force: true });
});

describe("bundle sizes", () => {
  it.each(BUDGETS)("$name stays within $limit bytes", async (budget) => {
    const base = "beyond" in budget ? BUDGETS.find(({ name }) => name === budget.beyond) : undefined;
    const size = (await bundledSize(budget)) - (base ? await bundledSize(base) : 0);
    measured.push(`  ${budget.name.padEnd(18)} ${size} of ${budget.limit} bytes`);
    expect(size).toBeLessThanOrEqual(budget.limit);
  });
});

async function bundledSize({ name, code }: Budget): Promise<number> {
  const input = join(folder, `${name.replaceAll(" ", "-")}.js`);
  await writeFile(input, code);
  const bundle = await rolldown({
    input,
    platform: "browser",
    external: [/^(react|vue)(\/|$)/],
    // Directives for servers that render React mean nothing here.
    checks: { moduleLevelDirective: false },
  });
  const { output } = await bundle.generate({
    format: "esm",
    minify: true,
    // Comments for other tools are not what a browser loads.
    comments: false,
    // Nor is a hash code: another one, of whatever was changed elsewhere, would be some bytes more or less.
    chunkFileNames: "[name].js",
  });
  await bundle.close();
  // What is loaded at once; what an option loads is loaded for that option alone.
  const chunks = output.filter((file) => file.type === "chunk");
  const loaded = new Set(chunks.filter((chunk) => chunk.isEntry));
  for (const { imports } of loaded) {
    for (const chunk of chunks) if (imports.includes(chunk.fileName)) loaded.add(chunk);
  }
  const bundled = [...loaded].map((chunk) => chunk.code).join("");
  return gzipSync(bundled, { level: 9 }).length;
}
