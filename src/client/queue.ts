import { EverstreamError } from "../errors.ts";

/** What a bounded queue does when its reader lags: stops the source, forgets the oldest, or fails. */
export type Overflow = "pause" | "dropOldest" | "error";

/** The events between a stream and one `for await` loop. */
export interface EventQueue<T> {
  /** What the loop reads. */
  readonly loop: AsyncIterableIterator<T>;
  readonly push: (item: T) => void;
  /** With `pause`, resolves when the loop does not lag by as much as the bound. */
  room(): Promise<void>;
  /**
   * No more items: the loop ends after those queued, by throwing `error` if there is one.
   *
   * @param discard Ends it without those queued.
   */
  end(error?: Error, discard?: boolean): void;
}

/**
 * Creates a queue of at most `max` items; with `pause` it takes more, since what one read brings is never cut. No
 * generator: one that waits for its next item can't be left before that comes.
 *
 * @param onLeave Called when the loop is over: its reader left it, or it failed because it lagged.
 */
export function createQueue<T>(max: number, overflow: Overflow, onLeave: () => void): EventQueue<T> {
  let items: T[] = [];
  /** What there is in place of more items. */
  let ending: (() => IteratorReturnResult<undefined>) | undefined;
  let change: Promise<void> | undefined;
  let resolve: (() => void) | undefined;

  const isOver = (policy: Overflow): boolean => overflow === policy && items.length >= (max || 1);
  const nextChange = (): Promise<void> => {
    change ??= new Promise((settle) => {
      resolve = settle;
    });
    return change;
  };
  const changed = (): void => {
    resolve?.();
    change = undefined;
  };
  const end = (error?: Error, discard?: boolean): void => {
    if (ending) return;
    if (discard) items = [];
    ending = () => {
      if (error) throw error;
      return { done: true, value: undefined };
    };
    changed();
  };

  return {
    push(item) {
      if (isOver("dropOldest")) items.shift();
      if (isOver("error")) {
        end(new EverstreamError("OVERFLOW", "The loop lags."));
        onLeave();
      }
      if (!ending) items.push(item);
      changed();
    },
    async room() {
      while (isOver("pause")) await nextChange();
    },
    end,
    loop: {
      async next() {
        while (!items.length) {
          if (ending) return ending();
          await nextChange();
        }
        const value = items.shift() as T;
        changed();
        return { done: false, value };
      },
      async return() {
        end(undefined, true);
        onLeave();
        return { done: true, value: undefined };
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    },
  };
}
