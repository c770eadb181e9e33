import type { SharingStream } from "./share-stream.ts";

/**
 * A frozen tab runs nothing, and must hold nothing up: when the browser is about to freeze the page, its stream pauses.
 *
 * @param isThere Whether there is something to leave.
 * @param signal Takes all listeners away.
 */
export function pauseFrozen(stream: SharingStream, isThere: () => boolean, signal: AbortSignal): void {
  const { document } = globalThis;
  let isFrozen = false;
  const freeze = (): void => {
    isFrozen = isThere();
    if (isFrozen) stream.dispatch({ type: "pause" });
  };
  const resume = (): void => {
    if (isFrozen) stream.dispatch({ type: "wake" });
  };
  document?.addEventListener("freeze", freeze, { signal });
  document?.addEventListener("resume", resume, { signal });
}
