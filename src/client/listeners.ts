import { safely } from "./failure.ts";

/** Takes a listener away again. May be called twice. */
export type Unsubscribe = () => void;

/** A set of listeners. One that throws is reported and does not keep the value from the others. */
export interface Listeners<T> {
  /** The function it returns says whether the listener was still there. */
  add(listener: (value: T) => void): () => boolean;
  /**
   * Calls those that are there now and still are when it is their turn: one that is added meanwhile hears of the next
   * value. Ends early when `until` says that this one is out of date, as after a listener closed the stream.
   */
  emit(value: T, until?: () => boolean): void;
}

/** Creates an empty set. The same function added twice is called twice, and each addition is taken away by itself. */
export function createListeners<T>(): Listeners<T> {
  const entries = new Set<(value: T) => void>();
  return {
    add(listener) {
      const entry = (value: T): void => listener(value);
      entries.add(entry);
      return () => entries.delete(entry);
    },
    emit(value, until) {
      for (const entry of [...entries]) {
        if (!until?.() && entries.has(entry)) safely(() => entry(value));
      }
    },
  };
}
