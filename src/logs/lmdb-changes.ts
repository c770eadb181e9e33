import type { Database, Key } from "lmdb";

/** Writes that were decided and not yet done, in their order. */
export class Changes {
  readonly #changes: (() => unknown)[] = [];
  #bytes = 0;

  get length(): number {
    return this.#changes.length;
  }

  /** What the events among them take on disk, about. */
  get bytes(): number {
    return this.#bytes;
  }

  put<Value, K extends Key>(database: Database<Value, K>, key: K, value: Value): void {
    if (value instanceof Uint8Array) this.#bytes += value.length;
    this.#changes.push(() => database.put(key, value));
  }

  remove<K extends Key>(database: Database<unknown, K>, key: K): void {
    this.#changes.push(() => database.remove(key));
  }

  /** Hands all of them to lmdb. To be called within a batch, whose promise tells how they went. */
  write(): void {
    for (const change of this.#changes) change();
  }
}
