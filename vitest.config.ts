import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

const src = (path: string): string => fileURLToPath(new URL(`./src/${path}`, import.meta.url));

/** Tests of `src` import the package by its public names; these lead to the sources, not to `dist`. */
const alias = [
  { find: /^everstream$/, replacement: src("index.ts") },
  { find: /^everstream\/(hono|node)$/, replacement: src("adapters/$1.ts") },
  { find: /^everstream\/(lmdb|nats)$/, replacement: src("logs/$1.ts") },
  { find: /^everstream\/(protocol|client|react|llm|testing)$/, replacement: src("$1/index.ts") },
];

/** Tests that need a redis-server or a nats-server. */
const BROKERS = ["test/{brokers,redis,nats,cluster}/**/*.test.ts"];

const common = { testTimeout: 30_000, hookTimeout: 60_000 };

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
          exclude: [...BROKERS, "test/package/**", "test/crash/**", "test/browser/**"],
        },
      },
      // Logs on servers that the tests start and do harm to.
      {
        resolve: { alias },
        test: { ...common, name: "brokers", include: BROKERS, testTimeout: 60_000 },
      },
      // The repository as a whole: what is shipped (built, packed, installed), its documents, who imports whom, and what
      // becomes of processes that run it and are killed.
      {
        test: {
          ...common,
          name: "package",
          include: ["test/{package,crash}/**/*.test.ts"],
          globalSetup: "test/setup/packed.ts",
        },
      },
      // The built application in a real Chromium.
      {
        test: {
          ...common,
          name: "browser",
          include: ["test/browser/**/*.test.ts"],
          globalSetup: "test/setup/built.ts",
          fileParallelism: false,
          testTimeout: 60_000,
        },
      },
    ],
  },
});
