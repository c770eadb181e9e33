import { randomUUID } from "node:crypto";
import { mkdirSync } from "node:fs";
import { readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { problem } from "../http.ts";

/** What was said of a file when it came. */
export interface UploadInfo {
  /** The name that the browser gave; for people, never for paths. */
  readonly name: string;
  /** The media type that the browser gave. */
  readonly type: string;
  readonly bytes: number;
}

/** One file that was received. */
export interface Upload extends UploadInfo {
  readonly fileId: string;
  readonly path: string;
  /** Where its compressed form belongs. */
  readonly compressedPath: string;
}

export interface Uploads {
  /**
   * A new id that nobody can guess, and the file to fill for it, with room for so many bytes.
   *
   * @throws HTTPException 507: all that may be stored is taken.
   */
  reserve(maxBytes: number): { fileId: string; path: string };
  /** Makes a filled file an upload: from now on it is found. */
  keep(fileId: string, info: UploadInfo): Promise<void>;
  discard(fileId: string): Promise<void>;
  find(fileId: string): Promise<Upload | undefined>;
  /** Removes what is older than a day. Done by itself each hour. */
  sweep(): Promise<void>;
  close(): void;
}

const MAX_AGE_MS = 24 * 60 * 60 * 1000;
const SWEEP_MS = 60 * 60 * 1000;
/** What a file may take, times its own size: its compressed form need not be smaller. */
const WITH_COMPRESSED = 2;
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * The uploads below `dataDir`: for each id the file, what is known of it (`.json`), and its compressed form (`.gz`).
 *
 * @param maxStored How much all of that may take, in bytes; of several servers on one folder, about so much. Default: no limit.
 */
export function openUploads(dataDir: string, maxStored = Number.POSITIVE_INFINITY): Uploads {
  const dir = join(dataDir, "uploads");
  mkdirSync(dir, { recursive: true });
  const pathOf = (fileId: string): string => join(dir, fileId);

  // What was there when it was last looked, and has come since.
  let stored = 0;
  /** By id, room for files that are on their way. */
  const reserved = new Map<string, number>();

  const sweep = async (): Promise<void> => {
    let found = 0;
    for (const name of await readdir(dir)) {
      const path = join(dir, name);
      // It may be gone by now.
      const { mtimeMs, size } = (await stat(path).catch(() => undefined)) ?? { mtimeMs: Date.now(), size: 0 };
      if (Date.now() - mtimeMs > MAX_AGE_MS) await rm(path, { force: true });
      else found += size;
    }
    stored = found;
  };
  const sweepQuietly = (): void => {
    sweep().catch((error: unknown) => console.error("could not remove old uploads:", error));
  };
  sweepQuietly();
  const timer = setInterval(sweepQuietly, SWEEP_MS).unref();

  return {
    reserve: (maxBytes) => {
      const taken = [...reserved.values()].reduce((sum, bytes) => sum + bytes, stored);
      if (taken + WITH_COMPRESSED * maxBytes > maxStored) {
        throw problem(507, "there is no room for more files at the moment; try again later");
      }
      const fileId = randomUUID();
      reserved.set(fileId, WITH_COMPRESSED * maxBytes);
      return { fileId, path: pathOf(fileId) };
    },
    keep: async (fileId, { name, type, bytes }) => {
      // Written whole before it gets its name: a crash leaves no half of it.
      const fresh = `${pathOf(fileId)}.json.tmp`;
      await writeFile(fresh, JSON.stringify({ name, type, bytes }));
      await rename(fresh, `${pathOf(fileId)}.json`);
      reserved.delete(fileId);
      stored += WITH_COMPRESSED * bytes;
    },
    discard: async (fileId) => {
      await rm(pathOf(fileId), { force: true });
      reserved.delete(fileId);
    },
    find: async (fileId) => {
      // Only what has the form of an id ever becomes part of a path.
      if (!ID.test(fileId)) return undefined;
      try {
        const info = JSON.parse(await readFile(`${pathOf(fileId)}.json`, "utf8")) as UploadInfo;
        return { ...info, fileId, path: pathOf(fileId), compressedPath: `${pathOf(fileId)}.gz` };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
        throw error;
      }
    },
    sweep,
    close: () => clearInterval(timer),
  };
}
