import { statfsSync } from "node:fs";

/** What must stay free on the disk: more than others are likely to take while one commit is written. */
const RESERVE_BYTES = 4 * 1024 * 1024;
/** The same for events that a file has room for, of which all others are gone. */
const LEAST_BYTES = 1024 * 1024;
/** The same for what only removes. */
const LEAST_FOR_REMOVAL_BYTES = 512 * 1024;
/** What one change may take beside its value: a few pages of the tree that leads to it are written anew. */
const CHANGE_BYTES = 16 * 1024;
/** With less than that free, commits are to be small: removing takes space, too, before it gives some. */
const SHORT_BYTES = 128 * 1024 * 1024;

/** What a commit will write. */
export interface Written {
  /** How many changes it makes. */
  readonly changes: number;
  /** What the events among them take. */
  readonly bytes: number;
}

/** How many bytes of a file are in use, and how many would be used again before it grows. */
export interface Room {
  readonly used: number;
  readonly free: number;
}

/** Whether there is so little space that it matters how large a commit is. */
export function isShortOfSpace(folder: string): boolean {
  return freeBytes(folder) < SHORT_BYTES;
}

/**
 * Looks whether the disk has room for a commit before it is written. lmdb 3.5 reports a page that could not be written in
 * a buffer that is too short for it, which as often as not ends the process: it must not come to that.
 *
 * A log that has filled its disk must be able to help itself, though its file does not shrink. So what only removes may draw on the
 * reserve, and so may events for which the file has room. How well that room suits them nobody knows before: large ones need pages
 * side by side. So the fuller the file, the more of the reserve is left.
 *
 * @throws Error with the code `ENOSPC`.
 */
export function assertSpace(folder: string, { changes, bytes }: Written, roomInFile: () => Room): void {
  const free = freeBytes(folder);
  // Large values lie on pages of their own, of which the last is never full.
  const needed = changes * CHANGE_BYTES + bytes * 2;
  if (free >= RESERVE_BYTES + needed) return;
  if (bytes === 0) {
    if (free >= LEAST_FOR_REMOVAL_BYTES + needed) return;
  } else if (free >= LEAST_BYTES + needed) {
    const room = roomInFile();
    const share = room.used / (room.used + room.free);
    const reserve = LEAST_BYTES + share * (RESERVE_BYTES - LEAST_BYTES);
    if (room.free >= needed && free >= reserve + needed) return;
  }
  throw Object.assign(
    new Error(`No space left on device: ${RESERVE_BYTES + needed} bytes must be free, but there are ${free}`),
    { code: "ENOSPC" },
  );
}

/** Whether an error is that of {@link assertSpace}, or has it for its cause. */
export function isNoSpace(error: unknown): boolean {
  const { code, cause } = error as { readonly code?: unknown; readonly cause?: unknown };
  return code === "ENOSPC" || (cause as { readonly code?: unknown } | undefined)?.code === "ENOSPC";
}

function freeBytes(folder: string): number {
  const { bavail, blocks, bsize } = statfsSync(folder);
  // File systems that have no such number say 0.
  return blocks === 0 ? Number.POSITIVE_INFINITY : bavail * bsize;
}
