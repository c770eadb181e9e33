import { statfsSync } from "node:fs";

/** What must stay free on the disk: more than others are likely to take while one commit is written. */
const RESERVE_BYTES = 4 * 1024 * 1024;
/** What one change may take beside its value: a few pages of the tree that leads to it are written anew. */
const CHANGE_BYTES = 16 * 1024;

/**
 * Looks whether the disk has room for a commit before it is written. lmdb 3.5 reports a page that could not be written in
 * a buffer that is too short for it, which as often as not ends the process: it must not come to that.
 *
 * @throws Error with the code `ENOSPC`.
 */
export function assertSpace(folder: string, changes: number, bytes: number): void {
  const { bavail, blocks, bsize } = statfsSync(folder);
  // File systems that have no such number say 0.
  if (blocks === 0) return;
  // Large values lie on pages of their own, of which the last is never full.
  const needed = RESERVE_BYTES + changes * CHANGE_BYTES + bytes * 2;
  if (bavail * bsize >= needed) return;
  throw Object.assign(
    new Error(`No space left on device: ${needed} bytes must be free, but there are ${bavail * bsize}`),
    {
      code: "ENOSPC",
    },
  );
}
