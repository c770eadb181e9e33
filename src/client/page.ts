/** What a page's life means for its connections: a moment to give them up, or to take them up and look after them. */
export type PageSignal = "pause" | "wake";

/** Whether there is a page, and it is hidden. */
export function isPageHidden(): boolean {
  return globalThis.document?.visibilityState === "hidden";
}

/**
 * Listens to `online`, `visibilitychange`, `pagehide` and `pageshow`, where the runtime has them; elsewhere it does
 * nothing. A page that goes into the back/forward cache always has to pause: the browser would cut its connection or
 * not keep the page at all.
 *
 * @param pauseWhenHidden Whether a hidden page has to pause, too.
 * @returns Takes all listeners away.
 */
export function watchPage(onSignal: (signal: PageSignal) => void, pauseWhenHidden: boolean): () => void {
  const onChange = ({ type, persisted }: Event & { readonly persisted?: boolean }): void => {
    const isLeaving = type === "pagehide";
    if (isLeaving ? persisted : pauseWhenHidden && isPageHidden()) onSignal("pause");
    else if (!isLeaving) onSignal("wake");
  };
  const forAll = (method: "addEventListener" | "removeEventListener"): void => {
    for (const type of ["online", "pagehide", "pageshow"]) globalThis[method]?.(type, onChange);
    globalThis.document?.[method]("visibilitychange", onChange);
  };
  forAll("addEventListener");
  return () => forAll("removeEventListener");
}
