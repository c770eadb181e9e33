import type { Database, Key } from "lmdb";

/** Writes that were decided and not yet done, in their order. */
export class Changes {
  readonly #changes: (() => unknown)[] = [];

  get length(): number {
    return this.#changes.length;
  }

  put<Value, K extends Key>(database: Database<Value, K>, key: K, value: Value): void {
    this.#changes.push(() => database.put(key, value));
  }

  remove<K extends Key>(database: Database<unknown, K>, key: K): void {
    this.#changes.push(() => database.remove(key));
  }

  /** Hands all writes to lmdb. To be called within a commit, whose promise tells how they went. */
  write(): void {
    for (const change of this.#changes) change();
  }
}
