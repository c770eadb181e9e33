import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { open, type RootDatabase, type Transaction } from "lmdb";
import { EverstreamError } from "../errors.ts";
import { DURABLE } from "./lmdb-files.ts";

/** How often a folder is tried for. Two that try at the very same moment may both have to step back. */
const ATTEMPTS = 5;
const MAX_PAUSE_MS = 40;

/**
 * Ownership of a log's folder by one process, which the system takes back when that ends, however it ends.
 *
 * It stands on LMDB's table of readers: whoever has a read transaction open has a place in it, and the kernel holds locks
 * for the table (`fcntl`, `LockFile` on Windows) that a killed process lets go of; LMDB clears a table that nobody else
 * has open, and places whose process is gone. So an empty LMDB file beside the log's, with one transaction that reads
 * nothing for as long as the folder is owned, is a lock without a native module. The log's own file can't serve: a
 * transaction that stays open there would keep LMDB from using its space again.
 *
 * The locks are the kernel's, not the network's: they hold between containers of one machine, not between machines.
 */
export class LmdbOwner {
  readonly #root: RootDatabase;
  /** Kept here, since the place in the table goes with it. */
  readonly #place: Transaction;

  private constructor(root: RootDatabase, place: Transaction) {
    this.#root = root;
    this.#place = place;
  }

  /** @throws EverstreamError `LOG_LOCKED`: it has an owner. */
  static async claim(folder: string): Promise<LmdbOwner> {
    mkdirSync(folder, { recursive: true });
    for (let attempt = 1; ; attempt++) {
      const root = open({ path: join(folder, "owner.mdb"), ...DURABLE });
      // Looked at before and after: taking a place where one is taken can block for long in lmdb.
      if (placesOf(root).length === 0) {
        // biome-ignore lint/correctness/useHookAtTopLevel: a method of lmdb, which is no hook
        const place = root.useReadTransaction();
        if (placesOf(root).length === 1) return new LmdbOwner(root, place);
      }
      const [pid] = placesOf(root);
      await root.close();
      if (attempt === ATTEMPTS) throw locked(folder, pid);
      await sleep(Math.random() * MAX_PAUSE_MS);
    }
  }

  async release(): Promise<void> {
    this.#place.done();
    await this.#root.close();
  }
}

/** The processes that have a place in the table of readers. */
function placesOf(root: RootDatabase): string[] {
  const table = root.readerList();
  return [...table.matchAll(/^\s*(\d+)\s/gm)].map(([, pid]) => pid as string);
}

function locked(folder: string, pid: string | undefined): EverstreamError {
  const owner = pid === String(process.pid) ? "this process" : `process ${pid ?? "that just ended"}`;
  return new EverstreamError(
    "LOG_LOCKED",
    `The log in ${folder} is open already, in ${owner}. Connect all hubs to one lmdbLog(), and give each process a folder of its own.`,
  );
}
