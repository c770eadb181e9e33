import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const src = (path: string): string => fileURLToPath(new URL(`./src/${path}`, import.meta.url));

/** Tests of `src` import the package by its public names; these lead to the sources, not to `dist`. */
const alias = [
  { find: /^everstream$/, replacement: src("index.ts") },
  { find: /^everstream\/(hono|node)$/, replacement: src("adapters/$1.ts") },
  { find: /^everstream\/(lmdb|nats|redis)$/, replacement: src("logs/$1.ts") },
  { find: /^everstream\/(protocol|client|react|vue|svelte|llm|testing)$/, replacement: src("$1/index.ts") },
];

/** Tests that need a redis-server or a nats-server. */
const BROKERS = ["test/{brokers,redis,nats,cluster}/**/*.test.ts"];

/** What drives a browser: the built application, single pages, and the examples that are pages. */
const browserTests = ["test/browser/**/*.test.ts", "test/docs/{react,frameworks,sharing-tabs}.test.ts"];

const common = {
  testTimeout: 60_000,
  hookTimeout: 60_000,
  // Vitest's default is one second, which a machine with other work takes for anything.
  expect: { poll: { timeout: 20_000 } },
};

export default defineConfig({
  test: {
    coverage: {
      provider: "v8",
      include: ["src/**"],
      reporter: ["text", "html"],
      reportsDirectory: "artifacts/coverage",
    },
    projects: [
      {
        resolve: { alias },
        test: {
          ...common,
          name: "source",
          include: ["test/**/*.test.{ts,tsx}"],
          exclude: [...BROKERS, "test/{package,crash,platforms}/**", ...browserTests],
        },
      },
      // Logs on servers that the tests start and do harm to.
      {
        resolve: { alias },
        test: { ...common, name: "brokers", include: BROKERS },
      },
      // The repository as a whole: what is shipped (built, packed, installed), its documents, who imports whom, and what
      // becomes of processes that run it and are killed.
      {
        test: {
          ...common,
          name: "package",
          include: ["test/{package,crash,platforms}/**/*.test.ts"],
          globalSetup: "test/setup/packed.ts",
        },
      },
      // In a real Chromium.
      {
        test: {
          ...common,
          name: "browser",
          include: browserTests,
          globalSetup: "test/setup/built.ts",
          testTimeout: 120_000,
          expect: { poll: { timeout: 40_000 } },
        },
      },
    ],
  },
});
