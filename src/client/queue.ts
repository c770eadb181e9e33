import { EverstreamError } from "../errors.ts";

/** What a bounded queue does when its reader lags: stops the source, forgets the oldest, or fails. */
export type Overflow = "pause" | "dropOldest" | "error";

/** The events between a stream and one `for await` loop. */
export interface EventQueue<T> {
  /** What the loop reads. */
  readonly loop: AsyncIterableIterator<T, undefined, undefined>;
  readonly push: (item: T) => void;
  /** With `pause`, while the loop lags by as much as the bound: a promise that resolves when it does no more. */
  room(): Promise<void> | undefined;
  /** No more items: the loop ends after those queued, by throwing `error` if there is one. */
  end(error?: Error): void;
  /** Ends the loop now, without those queued. */
  discard(): void;
}

/** Memory is what the bound is for: a larger event counts as several. In UTF-16 units. */
const CHARS_OF_ONE = 4096;

/**
 * Creates a queue of at most `max` items; with `pause` it takes more, since what one read brings is never cut. It is
 * the platform's own queue, of a stream, whose reads, unlike a generator's, can be cancelled while they wait.
 *
 * @param onLeave Called when the loop is over: its reader left it, or it failed because it lagged.
 */
export function createQueue<T extends { readonly data: string }>(
  max: number,
  overflow: Overflow,
  onLeave: () => void,
): EventQueue<T> {
  let controller: ReadableStreamDefaultController<T>;
  let onRoom: (() => void) | undefined;
  let ended = false;
  let failure: Error | undefined;
  const start = (given: ReadableStreamDefaultController<T>): void => {
    controller = given;
  };
  const pull = (): void => onRoom?.();
  const cancel = (): void => {
    pull();
    onLeave();
  };
  const size = ({ data }: T): number => Math.ceil(data.length / CHARS_OF_ONE) || 1;
  const reader = new ReadableStream<T>({ start, pull, cancel }, { highWaterMark: max, size }).getReader();

  const isFull = (policy: Overflow): boolean => overflow === policy && Number(controller.desiredSize) <= 0;
  const end = (error?: Error): void => {
    if (ended) return;
    ended = true;
    failure = error;
    controller.close();
  };
  const discard = async (): Promise<{ done: true; value: undefined }> => {
    ended = true;
    await reader.cancel();
    return { done: true, value: undefined };
  };

  return {
    push(item) {
      if (isFull("error")) {
        end(new EverstreamError("OVERFLOW", `The loop is over ${max} events behind.`));
        onLeave();
      }
      if (ended) return;
      // Nobody waits where the queue is full: this read takes the oldest.
      while (isFull("dropOldest")) void reader.read();
      controller.enqueue(item);
    },
    room() {
      if (!isFull("pause")) return undefined;
      return new Promise((resolve) => {
        onRoom = resolve;
      });
    },
    end,
    discard: () => void discard(),
    loop: {
      async next() {
        const result = await reader.read();
        if (result.done && failure !== undefined) throw failure;
        return result as IteratorResult<T, undefined>;
      },
      return: discard,
      [Symbol.asyncIterator]() {
        return this;
      },
    },
  };
}
