import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const src = (path: string): string => fileURLToPath(new URL(`./src/${path}`, import.meta.url));

/** Tests of `src` import the package by its public names; these lead to the sources, not to `dist`. */
const alias = [
  { find: /^everstream$/, replacement: src("index.ts") },
  { find: /^everstream\/hono$/, replacement: src("adapters/hono.ts") },
  { find: /^everstream\/node$/, replacement: src("adapters/node.ts") },
  { find: /^everstream\/(protocol|client|react|llm|testing)$/, replacement: src("$1/index.ts") },
];

const common = { testTimeout: 30_000, hookTimeout: 60_000 };

export default defineConfig({
  test: {
    projects: [
      {
        resolve: { alias },
        test: {
          ...common,
          name: "source",
          include: ["test/**/*.test.{ts,tsx}"],
          exclude: ["test/package/**", "test/browser/**"],
        },
      },
      // What is shipped: these import nothing from `src`, only the built and packed package.
      { test: { ...common, name: "package", include: ["test/package/**/*.test.ts"] } },
      // The built application in a real Chromium.
      {
        test: {
          ...common,
          name: "browser",
          include: ["test/browser/**/*.test.ts"],
          fileParallelism: false,
          testTimeout: 60_000,
        },
      },
    ],
  },
});
