import { mkdirSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { RootDatabase, Transaction } from "lmdb";
import { EverstreamError } from "../errors.ts";
import { openFile, removeUnfinished } from "./lmdb-file.ts";

/** How often a folder is tried for: two processes that try at the very same moment may both have to step back. */
const ATTEMPTS = 5;
const MAX_PAUSE_MS = 40;

/**
 * The folders that this process owns or tries for, since the kernel's locks do not tell two openings in one process apart.
 * Every copy of this module in the process looks at the same set.
 */
const OWN_FOLDERS = Symbol.for("everstream.lmdb.folders");

/**
 * Ownership of a log's folder by one process, which the system takes back when that ends, however it ends.
 *
 * It stands on LMDB's table of readers. Whoever has a read transaction open has a place in it; the kernel's locks on the
 * table go with the process, and LMDB clears a table that nobody else has open, and places whose process is gone. So an
 * LMDB file of its own, with one transaction that reads nothing and stays open, is a lock that needs no native module and
 * leaves nothing stale. The log's own file can't serve: a transaction that stays open there keeps LMDB from using space
 * again.
 *
 * The locks are of one kernel: they hold between containers on a machine, not between machines.
 */
export class LmdbOwner {
  readonly #root: RootDatabase;
  /** Held here, since its place in the table would go with it. */
  readonly #place: Transaction;
  readonly #folderId: string;

  private constructor(root: RootDatabase, place: Transaction, folderId: string) {
    this.#root = root;
    this.#place = place;
    this.#folderId = folderId;
  }

  /** @throws EverstreamError `LOG_LOCKED`: it has an owner. */
  static async claim(folder: string): Promise<LmdbOwner> {
    mkdirSync(folder, { recursive: true });
    const { dev, ino } = statSync(folder, { bigint: true });
    const folderId = `${dev}:${ino}`;
    if (ownFolders().has(folderId)) throw locked(folder, "this process");
    ownFolders().add(folderId);
    try {
      return await LmdbOwner.#claim(folder, folderId);
    } catch (error) {
      ownFolders().delete(folderId);
      throw error;
    }
  }

  static async #claim(folder: string, folderId: string): Promise<LmdbOwner> {
    for (let attempt = 1; ; attempt++) {
      const root = await openFile(folder, "owner.mdb");
      // Looked at before too: where the table has one, lmdb can block for long to take another.
      if (placesOf(root).length === 0) {
        // biome-ignore lint/correctness/useHookAtTopLevel: a method of lmdb, which is no hook
        const place = root.useReadTransaction();
        if (placesOf(root).length === 1) {
          removeUnfinished(folder);
          return new LmdbOwner(root, place, folderId);
        }
      }
      const [pid] = placesOf(root);
      await root.close();
      if (attempt === ATTEMPTS) throw locked(folder, `process ${pid ?? "that just ended"}`);
      await sleep(Math.random() * MAX_PAUSE_MS);
    }
  }

  async release(): Promise<void> {
    try {
      this.#place.done();
      await this.#root.close();
    } finally {
      ownFolders().delete(this.#folderId);
    }
  }
}

function ownFolders(): Set<string> {
  const shared = globalThis as { [OWN_FOLDERS]?: Set<string> };
  shared[OWN_FOLDERS] ??= new Set();
  return shared[OWN_FOLDERS];
}

/** The processes that have a place in the table of readers. */
function placesOf(root: RootDatabase): string[] {
  return [...root.readerList().matchAll(/^\s*(\d+)\s/gm)].map(([, pid]) => pid as string);
}

function locked(folder: string, owner: string): EverstreamError {
  return new EverstreamError(
    "LOG_LOCKED",
    `The log in ${folder} is open already, in ${owner}. Connect all hubs to one lmdbLog(), and give each process a folder of its own.`,
  );
}
