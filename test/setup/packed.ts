import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { build } from "../../scripts/lib/build-steps.js";
import { runChild } from "../../scripts/lib/child.js";

export interface Packed {
  /** The package as `npm pack` made it. */
  readonly tarball: string;
  /** A folder outside the repository in which the tarball was installed, and nothing else. */
  readonly consumer: string;
}

declare module "vitest" {
  export interface ProvidedContext {
    /** `null` where the package does not build, so that tests which need no build still tell what they know. */
    packed: Packed | null;
  }
}

/** Global setup of the package tests: what is shipped, packed and installed as a user would. */
export async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  if (!(await build({ parts: ["package"], missingOnly: true }))) {
    project.provide("packed", null);
    return undefined;
  }
  const folder = await mkdtemp(join(tmpdir(), "everstream-package-"));
  const consumer = join(folder, "consumer");
  await mkdir(consumer);
  await writeFile(
    join(consumer, "package.json"),
    `{ "name": "consumer", "private": true, "type": "module" }\n`,
  );
  // Built just now; `prepack` would build a second time.
  const tarball = join(
    folder,
    await npm("pack", "--ignore-scripts", "--silent", "--pack-destination", folder),
  );
  // Offline, since a package without runtime dependencies has nothing to fetch.
  await npm("install", "--prefix", consumer, "--offline", "--no-audit", "--no-fund", tarball);
  project.provide("packed", { tarball, consumer });
  return () => rm(folder, { recursive: true, force: true });
}

async function npm(...args: string[]): Promise<string> {
  const { code, output } = await runChild("npm", args);
  if (code !== 0) throw new Error(`npm ${args.join(" ")}: code ${code}\n${output}`);
  return output.trim();
}
