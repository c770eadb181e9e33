import { EverstreamError } from "../errors.ts";
import { LmdbTables } from "./lmdb-tables.ts";

/** A log's file, opened anew after a failure. */
export class LmdbDisk {
  readonly #folder: string;
  #tables: LmdbTables | undefined;
  #opening: Promise<LmdbTables> | undefined;
  /** Settles when the file that failed last is closed, as well as that went. */
  #closing: Promise<unknown> = Promise.resolve();
  #isClosed = false;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Does something with the file.
   *
   * A commit that failed has changed nothing on disk. But lmdb may be beyond use after it: where the last page could not
   * be written, it takes a mutex at the next commit and never lets go of it. So what it has in memory is dropped, and
   * whoever comes next reads it from the disk.
   *
   * @throws EverstreamError `LOG_FAILED`; `LOG_CLOSED` after {@link close}.
   */
  async use<Result>(
    what: "store" | "read",
    work: (tables: LmdbTables) => Result | Promise<Result>,
  ): Promise<Result> {
    try {
      return await work(this.#tables ?? (await this.#open()));
    } catch (cause) {
      if (what === "store") this.#afterFailure();
      throw logFailed(this.#folder, what, cause);
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    // What is being opened anew is for whoever waits for it, and then to be closed.
    await Promise.allSettled([this.#opening]);
    const tables = this.#tables;
    this.#tables = undefined;
    await this.#closing;
    await tables?.close();
  }

  #open(): Promise<LmdbTables> {
    if (this.#isClosed) throw new EverstreamError("LOG_CLOSED", `The log in ${this.#folder} was closed.`);
    this.#opening ??= this.#closing
      .then(() => LmdbTables.open(this.#folder))
      .then((tables) => {
        this.#tables = tables;
        return tables;
      })
      .finally(() => {
        this.#opening = undefined;
      });
    return this.#opening;
  }

  #afterFailure(): void {
    // What was to be trimmed by it is still there.
    this.#tables?.oldest.clear();
    if (this.#tables?.hasFailed === true) this.#drop();
  }

  #drop(): void {
    const tables = this.#tables;
    this.#tables = undefined;
    // Why it is dropped has been told; what else is wrong, whoever opens the file next will find.
    if (tables !== undefined) this.#closing = Promise.allSettled([tables.close()]);
  }
}

/** The error that tells of a failure, which may be one already. */
export function logFailed(
  folder: string,
  what: "open" | "store" | "read" | "close",
  cause: unknown,
): EverstreamError {
  if (cause instanceof EverstreamError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new EverstreamError("LOG_FAILED", `The log in ${folder} could not ${what}: ${why}`, { cause });
}
