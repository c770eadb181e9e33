import { EverstreamError } from "../errors.ts";
import { LmdbFiles } from "./lmdb-files.ts";

/** A log's file, opened anew after a failure. */
export class LmdbDisk {
  readonly #folder: string;
  #files: LmdbFiles | undefined;
  #opening: Promise<LmdbFiles> | undefined;
  /** Settles when the file that failed last is closed. */
  #closing: Promise<void> = Promise.resolve();

  constructor(folder: string) {
    this.#folder = folder;
  }

  /**
   * Does something with the file.
   *
   * A commit that failed has changed nothing on disk. But lmdb may be beyond use after it: of a page that it could write
   * only in part it thinks otherwise than the disk, and says so by never letting go of a mutex. So what it had in memory
   * is dropped, and read from the disk again by whoever comes next.
   *
   * @throws EverstreamError `LOG_FAILED`.
   */
  async use<Result>(
    what: "store" | "read",
    work: (files: LmdbFiles) => Result | Promise<Result>,
  ): Promise<Result> {
    try {
      return await work(this.#files ?? (await this.#open()));
    } catch (cause) {
      if (what === "store") this.#drop();
      throw logFailed(this.#folder, what, cause);
    }
  }

  async close(): Promise<void> {
    this.#drop();
    await this.#closing;
  }

  #open(): Promise<LmdbFiles> {
    this.#opening ??= this.#closing
      .then(() => LmdbFiles.open(this.#folder))
      .then((files) => {
        this.#files = files;
        return files;
      })
      .finally(() => {
        this.#opening = undefined;
      });
    return this.#opening;
  }

  #drop(): void {
    const files = this.#files;
    this.#files = undefined;
    if (files !== undefined) this.#closing = files.close();
  }
}

/** The error that tells of a failure, which may be one already. */
export function logFailed(folder: string, what: "open" | "store" | "read", cause: unknown): EverstreamError {
  if (cause instanceof EverstreamError) return cause;
  const why = cause instanceof Error ? cause.message : String(cause);
  return new EverstreamError("LOG_FAILED", `The log in ${folder} could not ${what}: ${why}`, { cause });
}
