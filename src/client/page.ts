/** What a page's life means for its connections: a moment to give them up, or to take them up and look after them. */
export type PageSignal = "pause" | "wake";

/**
 * Listens to `online`, `visibilitychange`, `pagehide` and `pageshow`, where the runtime has them, and says at once
 * how things stand. A page that goes into the back/forward cache always has to pause: the browser would cut its
 * connection or not keep the page at all.
 *
 * @param pauseWhenHidden Whether a hidden page has to pause, too.
 * @param signal Takes all listeners away.
 */
export function watchPage(
  onSignal: (signal: PageSignal) => void,
  pauseWhenHidden: boolean | undefined,
  signal: AbortSignal,
): void {
  const onChange = ({ type, persisted }: { readonly type?: string; readonly persisted?: boolean }): void => {
    const isHidden = globalThis.document?.hidden;
    const isLeft = type === "pagehide";
    if (isLeft ? persisted : pauseWhenHidden && isHidden) onSignal("pause");
    // One that goes into the cache is hidden after that, which must not wake it.
    else if (!(isLeft || (isHidden && type === "visibilitychange"))) onSignal("wake");
  };
  for (const type of ["online", "visibilitychange", "pagehide", "pageshow"]) {
    globalThis.addEventListener?.(type, onChange, { signal });
  }
  onChange({});
}
