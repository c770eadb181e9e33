import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  linkSync,
  openSync,
  readdirSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { open, type RootDatabase } from "lmdb";
import { EverstreamError } from "../errors.ts";
import { assertSpace, type Room } from "./lmdb-space.ts";

/** Events are nobody else's business. */
const OWNER_ONLY = 0o600;

/**
 * How both of our LMDB files are opened.
 *
 * `overlappingSync` would show a commit before it is on disk, and would say nothing of a sync that fails. Without it a
 * commit writes its pages, syncs them, and writes the page that makes them count with O_DSYNC; readers see it after that.
 *
 * `eventTurnBatching` would put writes into a transaction one of whose promises nobody can get at, so that a commit that
 * fails would be an unhandled rejection.
 */
const DURABLE = {
  noSubdir: true,
  overlappingSync: false,
  eventTurnBatching: false,
  permissionsMode: OWNER_ONLY,
} as const;

/** What an LMDB file begins with, after the page's own head: a magic number, and the version of LMDB's own format. */
const MAGIC_AT = 24;
const MAGIC = 0xbeefc0de;
const LMDB_FORMAT = 2;

/** LMDB's table of readers, with the default of 126 of them, takes 8 kB and a bit. */
const LOCK_FILE_BYTES = 16_384;

const UNFINISHED = ".new";
const UNFINISHED_NAME = /^\w+\.mdb\.[0-9a-f-]+\.new(-lock)?$/;
/** Longer than it takes to make a file. */
const UNFINISHED_MS = 60_000;

/**
 * Opens an LMDB file, which is made where it is missing.
 *
 * @throws EverstreamError `LOG_FAILED`: the file is no LMDB file, or one of another version of LMDB. (lmdb itself would
 *   end the process.)
 */
export async function openFile(folder: string, name: string): Promise<RootDatabase<unknown, string>> {
  const path = join(folder, name);
  if (!existsSync(path)) await createFile(folder, path);
  if (!hasHead(path)) {
    throw new EverstreamError("LOG_FAILED", `${path} is no LMDB file that this version of lmdb can read.`);
  }
  return open<unknown, string>({ path, ...DURABLE });
}

/** Opens a file so that {@link assertThere} can tell of it, beside lmdb, which shows nobody its own. */
export function watchFile(folder: string, name: string): number {
  return openSync(join(folder, name), "r");
}

/**
 * Looks whether what is written to a file will be found again: one that was removed while it is open takes all of it, and is
 * gone with the last who has it open.
 *
 * @throws Error where the file has no name any more, or its folder is not where it was.
 */
export function assertThere(folder: string, watch: number): void {
  if (fstatSync(watch).nlink > 0 && existsSync(folder)) return;
  throw new Error(
    "its folder or file was removed while it was open, so that nothing would be kept; end this process, and put back what is to be kept before the next one",
  );
}

/** What room there is in a file all of whose tables lie in one tree. */
export function roomIn(root: RootDatabase<unknown, string>): Room {
  const { pageSize, lastPageNumber, root: tree, free: list } = root.getStats() as FileStats;
  // Its two heads and the list of what is free take pages, too; they are counted from 0.
  const used = 2 + pagesOf(tree) + pagesOf(list);
  return { used: used * pageSize, free: Math.max(0, lastPageNumber + 1 - used) * pageSize };
}

/** What lmdb's types leave out. */
interface TreeStats {
  readonly treeBranchPageCount: number;
  readonly treeLeafPageCount: number;
  readonly overflowPages: number;
}

interface FileStats {
  readonly pageSize: number;
  readonly lastPageNumber: number;
  readonly root: TreeStats;
  readonly free: TreeStats;
}

function pagesOf({ treeBranchPageCount, treeLeafPageCount, overflowPages }: TreeStats): number {
  return treeBranchPageCount + treeLeafPageCount + overflowPages;
}

/** Waits for a commit. Where it fails, the error is what lies behind lmdb's "see commitError for details". */
export async function written(commit: Promise<boolean>): Promise<void> {
  try {
    await commit;
  } catch (error) {
    if (error instanceof Error && "commitError" in error) await error.commitError;
    throw error;
  }
}

/** Removes what creations that were broken off have left behind. Another process may be at one in this moment. */
export function removeUnfinished(folder: string): void {
  for (const name of readdirSync(folder)) {
    if (!UNFINISHED_NAME.test(name)) continue;
    const path = join(folder, name);
    const modified = statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? Number.POSITIVE_INFINITY;
    if (Date.now() - modified > UNFINISHED_MS) rmSync(path, { force: true });
  }
}

/**
 * Makes a file complete and on disk before it has its name: one that a crash left half made could not be told from one
 * that is damaged. The file with the table of readers is made beside it, full: LMDB writes to it through memory, where a
 * full disk ends the process.
 */
async function createFile(folder: string, path: string): Promise<void> {
  assertSpace(folder, { changes: 1, bytes: LOCK_FILE_BYTES }, () => ({ used: 1, free: 0 }));
  const unfinished = `${path}.${crypto.randomUUID()}${UNFINISHED}`;
  writeFileSync(`${unfinished}-lock`, Buffer.alloc(LOCK_FILE_BYTES), { mode: OWNER_ONLY });
  const root = open<unknown, string>({ path: unfinished, ...DURABLE });
  try {
    await written(root.put("created", Date.now()));
  } finally {
    await root.close();
  }
  linkIfFree(`${unfinished}-lock`, `${path}-lock`);
  rmSync(`${unfinished}-lock`, { force: true });
  renameSync(unfinished, path);
  syncFolder(folder);
  syncFolder(join(folder, ".."));
}

function hasHead(path: string): boolean {
  const file = openSync(path, "r");
  try {
    const head = Buffer.alloc(MAGIC_AT + 8);
    readSync(file, head, 0, head.length, 0);
    return head.readUInt32LE(MAGIC_AT) === MAGIC && head.readUInt16LE(MAGIC_AT + 4) === LMDB_FORMAT;
  } finally {
    closeSync(file);
  }
}

/** Gives a file another name, but never one that is taken: who has that file open would not know of this one. */
function linkIfFree(from: string, to: string): void {
  try {
    linkSync(from, to);
  } catch {
    // It is taken, or the file system has no links: LMDB makes the file where there is none.
  }
}

/** Has the names in a folder on disk. Windows does that by itself, and opens no folders. */
function syncFolder(folder: string): void {
  if (process.platform === "win32") return;
  const file = openSync(folder, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
