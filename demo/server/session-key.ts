import { randomBytes, randomUUID } from "node:crypto";
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/**
 * The key that signs cookies: kept in the data folder, so that a restart signs nobody out, nor does another server of the same
 * folder. The first one makes it, also where several begin at once.
 */
export function sessionKeyIn(dataDir: string): string {
  mkdirSync(dataDir, { recursive: true });
  const file = join(dataDir, "session-key");
  // Written whole before it gets its name: nobody reads half of it. And a name is only given once.
  const fresh = `${file}.${randomUUID()}.tmp`;
  writeFileSync(fresh, randomBytes(32).toString("base64url"), { flag: "wx", mode: 0o600 });
  try {
    linkSync(fresh, file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    rmSync(fresh, { force: true });
  }
  return readFileSync(file, "utf8");
}
