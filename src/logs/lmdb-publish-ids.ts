import { createHash } from "node:crypto";
import type { Changes } from "./lmdb-changes.ts";
import type { LmdbFiles, StoredResult } from "./lmdb-files.ts";
import { LAST } from "./lmdb-keys.ts";

/** The results of publishes by their `publishId`, as one commit sees and changes them. */
export class DraftPublishIds {
  readonly #files: LmdbFiles;
  readonly #changes: Changes;
  /** What this commit adds, by the hash in hex. */
  readonly #added = new Map<string, StoredResult>();

  constructor(files: LmdbFiles, changes: Changes) {
    this.#files = files;
    this.#changes = changes;
  }

  find(key: Buffer, now: number): readonly number[] | undefined {
    const result = this.#added.get(key.toString("hex")) ?? this.#files.publishIds.get(key);
    if (result === undefined || result[0] <= now) return undefined;
    const [, first, count] = result;
    return Array.from({ length: count }, (_, index) => first + index);
  }

  /** `number` is one that no other result has. */
  remember(key: Buffer, sequences: readonly number[], until: number, number: number): void {
    const result: StoredResult = [until, sequences[0] ?? 0, sequences.length];
    this.#added.set(key.toString("hex"), result);
    this.#changes.put(this.#files.publishIds, key, result);
    this.#changes.put(
      this.#files.publishIdTimes,
      [Math.min(LAST, Math.max(0, Math.ceil(until))), number],
      key,
    );
  }

  /** Removes those whose window is over, at most `most`. Returns whether there may be more. */
  forget(now: number, most: number): boolean {
    const { publishIds, publishIdTimes } = this.#files;
    let forgotten = 0;
    for (const { key: time, value: key } of publishIdTimes.getRange({
      start: [0, 0],
      end: [Math.floor(now), LAST],
      limit: most,
    })) {
      forgotten++;
      this.#changes.remove(publishIdTimes, time);
      // An id that was used again after its window has a later time too.
      const result = this.#added.get(key.toString("hex")) ?? publishIds.get(key);
      if (result !== undefined && result[0] <= now) this.#changes.remove(publishIds, key);
    }
    return forgotten === most;
  }
}

/** The key of a topic's `publishId`: a hash, since LMDB's keys have a limit and ids have none. */
export function publishIdKey(topic: string, publishId: string): Buffer {
  return createHash("sha256").update(`${topic.length}:${topic}${publishId}`).digest();
}
