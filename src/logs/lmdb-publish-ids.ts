import { createHash } from "node:crypto";
import type { Changes } from "./lmdb-changes.ts";
import { LAST, type Pair } from "./lmdb-keys.ts";
import type { LmdbTables, StoredResult } from "./lmdb-tables.ts";

/** The results of publishes by their `publishId`, as one commit sees and changes them. */
export class DraftPublishIds {
  readonly #tables: LmdbTables;
  readonly #changes: Changes;
  /** What this commit adds. */
  readonly #added = new Map<string, StoredResult>();

  constructor(tables: LmdbTables, changes: Changes) {
    this.#tables = tables;
    this.#changes = changes;
  }

  find(key: string, now: number): readonly number[] | undefined {
    const result = this.#added.get(key) ?? this.#tables.publishIds.get(key);
    if (result === undefined || result[0] <= now) return undefined;
    const [, first, count] = result;
    return Array.from({ length: count }, (_, index) => first + index);
  }

  /** `number` is one that no other result has. */
  remember(key: string, sequences: readonly number[], until: number, number: number): void {
    const result: StoredResult = [until, sequences[0] ?? 0, sequences.length];
    this.#added.set(key, result);
    this.#changes.put(this.#tables.publishIds, key, result);
    const time = Math.min(LAST, Math.max(0, Math.ceil(until)));
    this.#changes.put(this.#tables.publishIdTimes, [time, number], key);
  }

  /** Removes those whose window is over, at most `most`. Returns whether there may be more. */
  forget(now: number, most: number): boolean {
    const { publishIds, publishIdTimes } = this.#tables;
    let forgotten = 0;
    const range = { start: [0, 0] as Pair, end: [Math.floor(now), LAST] as Pair, limit: most };
    for (const { key: time, value: key } of publishIdTimes.getRange(range)) {
      forgotten++;
      this.#changes.remove(publishIdTimes, time);
      // An id that was used again after its window has a later time too.
      const result = this.#added.get(key) ?? publishIds.get(key);
      if (result !== undefined && result[0] <= now) this.#changes.remove(publishIds, key);
    }
    return forgotten === most;
  }
}

/** The key of a topic's `publishId`: a hash, since LMDB's keys have a limit and ids have none. */
export function publishIdKey(topic: string, publishId: string): string {
  return createHash("sha256").update(`${topic.length}:${topic}${publishId}`).digest("base64url");
}
