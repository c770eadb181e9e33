import { existsSync, statfsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { lmdbLog } from "everstream/lmdb";
import { onTestFinished } from "vitest";
import type { LogFixture } from "./contract.ts";

const MEMORY = "/dev/shm";
const ENOUGH_BYTES = 256 * 1024 * 1024;

/** In memory where there is enough: thousands of commits one after the other need no disk to wait for. */
const FOLDER = existsSync(MEMORY) && freeBytes(MEMORY) > ENOUGH_BYTES ? MEMORY : tmpdir();

function freeBytes(path: string): number {
  const { bavail, bsize } = statfsSync(path);
  return bavail * bsize;
}

export async function lmdbFixture(): Promise<LogFixture & { readonly path: string }> {
  const path = await mkdtemp(join(FOLDER, "everstream-lmdb-"));
  return {
    path,
    log: lmdbLog({ path }),
    restart: async () => lmdbLog({ path }),
    dispose: () => rm(path, { recursive: true }),
  };
}

/** A folder for one test's log, removed after it. */
export async function testFolder(): Promise<string> {
  const { path, dispose } = await lmdbFixture();
  onTestFinished(dispose);
  return path;
}
