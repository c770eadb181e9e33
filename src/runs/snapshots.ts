import { isEverstreamError } from "../errors.ts";
import { report } from "../session/report.ts";
import { isClosed } from "./closed.ts";
import { within } from "./within.ts";

/** After so many events the control topic is cut down to a snapshot. */
const SNAPSHOT_EVENTS = 1000;
/** A snapshot is renewed after so long, so that it is never among the oldest events of a log that is short of memory. */
const SNAPSHOT_AGE_MS = 10 * 60 * 1000;
/** So many events go by after one that failed before the next is tried: others write, too, and one of us will do. */
const RETRY_EVENTS = 20;
/** No event waits longer for a snapshot that is under way. */
const MAX_QUIET_MS = 1000;

/**
 * When the control topic is cut down to a snapshot, one at a time. A snapshot must know of every event before it, and
 * events come back from the log a while after they were written. So this process writes nothing else meanwhile: it would
 * only thwart itself.
 */
export class Snapshots {
  readonly #write: () => Promise<void>;
  readonly #writing = new Set<Promise<string>>();
  #events = 0;
  #notBefore = 0;
  #at = performance.now();
  #quiet: Promise<void> | undefined;

  /** @param write Learns of everything that the log holds; if a snapshot is still due then, writes it. */
  constructor(write: () => Promise<void>) {
    this.#write = write;
  }

  get isDue(): boolean {
    if (this.#events === 0 || this.#events < this.#notBefore) return false;
    return this.#events >= SNAPSHOT_EVENTS || performance.now() - this.#at > SNAPSHOT_AGE_MS;
  }

  /** An event has come. */
  noteEvent(): void {
    this.#events++;
  }

  /** A snapshot has come, whoever wrote it; or all is read from its start. */
  noteSnapshot(): void {
    this.#events = 0;
    this.#notBefore = 0;
    this.#at = performance.now();
  }

  /** Publishes an event, and cuts the topic down in the background when that is due. */
  async publish(publish: () => Promise<string>): Promise<string> {
    await this.#quiet;
    const written = publish();
    this.#writing.add(written);
    try {
      return await written;
    } finally {
      this.#writing.delete(written);
      if (this.#quiet === undefined && this.isDue) this.#begin();
    }
  }

  #begin(): void {
    const done = this.#try();
    this.#quiet = within(MAX_QUIET_MS, () => done);
    void done.finally(() => {
      this.#quiet = undefined;
    });
  }

  async #try(): Promise<void> {
    try {
      await Promise.allSettled(this.#writing);
      await this.#write();
    } catch (error) {
      this.#notBefore = this.#events + RETRY_EVENTS;
      // Somebody has written meanwhile: whoever writes next tries again.
      if (isEverstreamError(error, "CONFLICT") || isClosed(error)) return;
      report("The state of runs could not be written", error);
    }
  }
}
