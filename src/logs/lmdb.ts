import { resolve } from "node:path";
import { invalidOption } from "../errors.ts";
import type { EventLog, LogConnection, LogFeed } from "../hub/log.ts";
import { assertOptions, type NamesOf } from "../input.ts";
import { logFailed } from "./lmdb-disk.ts";
import { LmdbStore } from "./lmdb-store.ts";
import { StoreConnection } from "./store-connection.ts";

/** Options of {@link lmdbLog}. */
export interface LmdbLogOptions {
  /**
   * The log's folder, relative to where the process was started. It is made where it is missing, and belongs to one
   * process at a time. On a disk of this machine: LMDB does not work on network file systems.
   */
  path: string;
}

/**
 * A log in a folder of this machine, on LMDB (the package `lmdb`, to be installed beside this one). What it has accepted
 * is on disk: it survives `kill -9`, and power loss where the disk keeps what it has confirmed. Publishes that come while
 * a commit is under way share the next one. After a crash it opens without repair.
 *
 * The folder is opened by the first hub and closed with the last one. Until then nobody else can open it: `createHub`'s
 * first use of the log fails with `LOG_LOCKED` where another process, or another `lmdbLog()` in this one, has it open.
 * That ends with the process, however it ends.
 *
 * Where the disk is full or fails, publishing fails with `LOG_FAILED` and nothing of what was accepted is lost; it works
 * again once there is space.
 *
 * @throws EverstreamError `INVALID_OPTION`.
 */
export function lmdbLog(options: LmdbLogOptions): EventLog {
  assertOptions("options", options, NAMES);
  const path: unknown = options.path;
  if (typeof path !== "string" || path === "")
    throw invalidOption("`path` must name the folder in which the log is to be kept.");
  return new LmdbLog(resolve(path));
}

const NAMES: NamesOf<LmdbLogOptions> = { path: true };

class LmdbLog implements EventLog {
  readonly #folder: string;
  #store: Promise<LmdbStore> | undefined;
  #connections = 0;
  /** Settles when the store that was open last is closed, as well as that went. */
  #closing: Promise<unknown> = Promise.resolve();

  constructor(folder: string) {
    this.#folder = folder;
  }

  async open(feed: LogFeed): Promise<LogConnection> {
    this.#connections++;
    this.#store ??= this.#closing.then(() => LmdbStore.open(this.#folder));
    const store = this.#store;
    try {
      return new StoreConnection(await store, feed, {
        name: "LMDB log",
        exclusive: true,
        release: () => this.#release(),
      });
    } catch (error) {
      this.#connections--;
      if (this.#store === store) this.#store = undefined;
      throw logFailed(this.#folder, "open", error);
    }
  }

  #release(): Promise<void> {
    this.#connections--;
    const store = this.#store;
    if (this.#connections > 0 || store === undefined) return Promise.resolve();
    this.#store = undefined;
    const closing = store
      .then((opened) => opened.close())
      .catch((cause: unknown) => {
        throw logFailed(this.#folder, "close", cause);
      });
    // Whoever closes hears of a failure, and whoever opens next finds out what it has left.
    this.#closing = Promise.allSettled([closing]);
    return closing;
  }
}
