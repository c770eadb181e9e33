import type { CloseReason } from "./close-reason.ts";
import type { Held } from "./held.ts";

export type CloseListener = (reason: CloseReason) => void;

/** What an idle session of a hub never needs: made with the first of it, so that ten thousand such go without. */
export class SessionExtras {
  controller: AbortController | undefined;
  listeners: Set<CloseListener> | undefined;
  /** What writers wait for. */
  drained: Deferred | undefined;
  /** How many writes came after the end. */
  lateWrites = 0;
  /** Present while the sink holds bytes, as far as was seen. */
  held: Held | undefined;

  onDrain(): void {
    this.held = undefined;
    this.releaseWriters();
  }

  releaseWriters(): void {
    this.drained?.resolve();
    this.drained = undefined;
  }
}

interface Deferred {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

export function deferred(): Deferred {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
