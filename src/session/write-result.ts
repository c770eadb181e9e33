import { reportUnlessTold } from "./report.ts";

/** What a write answers with: a promise that knows whether somebody waits for it, and so hears of its failure. */
class WriteResult<Written> extends Promise<Written> {
  /** What is derived from one is a plain promise. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise;
  }

  #awaited = false;

  get awaited(): boolean {
    return this.#awaited;
  }

  /** `await`, `catch`, `finally` and `Promise.all` all come through here. */
  // biome-ignore lint/suspicious/noThenProperty: a promise's own way to be waited for
  override then<Value = Written, Caught = never>(
    onFulfilled?: ((value: Written) => Value | PromiseLike<Value>) | null,
    onRejected?: ((reason: unknown) => Caught | PromiseLike<Caught>) | null,
  ): Promise<Value | Caught> {
    this.#awaited = true;
    return super.then(onFulfilled, onRejected);
  }

  /** Calls `listener` if the write fails, without counting as somebody who waits; then it ends no process either. */
  onFailure(listener: (error: unknown) => void): this {
    super.then(undefined, listener);
    return this;
  }
}

/**
 * A write whose failure ends no process where nobody waits for it, since the refused field may have come from a user; but
 * somebody has to hear of it.
 */
export function noticed(written: Promise<void>): WriteResult<void> {
  const result = new WriteResult<void>((resolve, reject) => {
    written.then(resolve, reject);
  });
  return result.onFailure((error) => reportUnlessTold("A write was refused", error, () => result.awaited));
}
