import type { AppendRequest, AppendResult, Epoch, LogFeed, Page, ReadQuery } from "../hub/log.ts";
import { Changes } from "./lmdb-changes.ts";
import { LmdbDisk } from "./lmdb-disk.ts";
import { Draft } from "./lmdb-draft.ts";
import { encodeStored } from "./lmdb-event.ts";
import { LmdbOwner } from "./lmdb-owner.ts";
import { readPage } from "./lmdb-read.ts";
import { isNoSpace } from "./lmdb-space.ts";

/** How many events a commit takes before it leaves the rest to the next: a millisecond or two of this thread. */
const MAX_EVENTS_IN_COMMIT = 500;
/** How many commits one call of `expire` may make. */
const MAX_EXPIRING_COMMITS = 50;
/** How many epochs are remembered. A cursor of an older one is a gap. */
const MAX_EPOCHS = 1000;

/** Something to be decided and written by the next commit. */
interface Job {
  /** How many events it is worth. */
  readonly weight: number;
  decide(draft: Draft): void;
  /** The commit is on disk. */
  resolve(): void;
  reject(error: unknown): void;
}

/** An open log, in a folder that this process owns. All its writes are made here, one commit after the other. */
export class LmdbStore {
  readonly feeds = new Set<LogFeed>();
  readonly epochs: readonly Epoch[];
  readonly #owner: LmdbOwner;
  readonly #disk: LmdbDisk;
  #head: number;
  #jobs: Job[] = [];
  /** Settles when nothing is left to write. */
  #writing: Promise<void> | undefined;
  #isClosing = false;

  private constructor(owner: LmdbOwner, disk: LmdbDisk, head: number, epochs: readonly Epoch[]) {
    this.#owner = owner;
    this.#disk = disk;
    this.#head = head;
    this.epochs = epochs;
  }

  /** @throws EverstreamError `LOG_LOCKED`, `LOG_FAILED`. */
  static async open(folder: string): Promise<LmdbStore> {
    const owner = await LmdbOwner.claim(folder);
    const disk = new LmdbDisk(folder);
    try {
      return await disk.use("store", async (tables) => {
        const { head } = tables.state;
        const epochs = withNewEpoch(tables.epochs, head);
        const changes = new Changes();
        tables.setEpochs(changes, epochs);
        await tables.commit(changes);
        return new LmdbStore(owner, disk, head, epochs);
      });
    } catch (error) {
      // What fails from here on says less than why all of it is given up.
      await Promise.allSettled([disk.close()]);
      await Promise.allSettled([owner.release()]);
      throw error;
    }
  }

  /** The newest sequence that the feeds know of. */
  get head(): number {
    return this.#head;
  }

  append(request: AppendRequest): Promise<AppendResult> {
    const values = request.events.map(encodeStored);
    return this.#commit(Math.max(1, values.length), (draft) => draft.append(request, values));
  }

  read(query: ReadQuery): Promise<Page> {
    return this.#disk.use("read", (tables) => readPage(tables, query));
  }

  async expire(now: number): Promise<void> {
    for (let commits = 0; commits < MAX_EXPIRING_COMMITS; commits++) {
      const draft = await this.#commit(1, (draft) => {
        draft.expire(now);
        return draft;
      });
      if (!draft.isUnfinished || this.#isClosing) return;
    }
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#writing;
    try {
      await this.#disk.close();
    } finally {
      await this.#owner.release();
    }
  }

  /** Has `decide` take part in the next commit. Resolves to what it returned when that is on disk. */
  #commit<Result>(weight: number, decide: (draft: Draft) => Result): Promise<Result> {
    return new Promise((resolve, reject) => {
      let result: Result;
      this.#jobs.push({
        weight,
        decide: (draft) => {
          result = decide(draft);
        },
        resolve: () => resolve(result),
        reject,
      });
      this.#writing ??= this.#write();
    });
  }

  async #write(): Promise<void> {
    // What is appended in the same turn shares a commit, as does what is appended while one is under way.
    for (await turn(); this.#jobs.length > 0; await turn()) {
      await this.#tryToWrite(this.#takeJobs());
    }
    this.#writing = undefined;
  }

  async #tryToWrite(jobs: readonly Job[]): Promise<void> {
    try {
      await this.#writeOne(jobs);
    } catch (error) {
      // What frees space must not have to wait until there is some for what came with it.
      if (jobs.length > 1 && isNoSpace(error)) for (const job of jobs) await this.#tryToWrite([job]);
      else for (const job of jobs) job.reject(error);
    }
  }

  async #writeOne(jobs: readonly Job[]): Promise<void> {
    const draft = await this.#disk.use("store", async (tables) => {
      const draft = new Draft(tables);
      for (const job of jobs) job.decide(draft);
      const changes = draft.finish();
      if (changes !== undefined) await tables.commit(changes);
      return draft;
    });
    const { after, entries } = draft;
    this.#head = draft.state.head;
    if (entries.length > 0) {
      for (const feed of this.feeds) feed.onEntries({ after, through: this.#head, entries });
    }
    for (const job of jobs) job.resolve();
  }

  #takeJobs(): Job[] {
    let events = 0;
    const end = this.#jobs.findIndex((job) => {
      const isFull = events >= MAX_EVENTS_IN_COMMIT;
      events += job.weight;
      return isFull;
    });
    return this.#jobs.splice(0, end === -1 ? this.#jobs.length : end);
  }
}

/** Resolves in the next turn of the event loop. */
function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** The epochs that begin with the last `MAX_EPOCHS` openings, this one among them. */
function withNewEpoch(epochs: readonly Epoch[], head: number): readonly Epoch[] {
  let epoch: number;
  do {
    // Short on the wire, and not likely to be that of a log that once stood in this one's place.
    epoch = (crypto.getRandomValues(new Uint32Array(1))[0] as number) + 1;
  } while (epochs.some((known) => known.epoch === epoch));
  return [...epochs, { epoch, first: head + 1 }].slice(-MAX_EPOCHS);
}
