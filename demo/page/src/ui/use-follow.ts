import { type RefObject, useCallback, useEffect, useLayoutEffect, useRef } from "react";

/** How close to its end a scroller still counts as scrolled to the end, in pixels. */
const NEAR_END = 24;

interface Follow<E extends HTMLElement> {
  readonly scroller: RefObject<E | null>;
  readonly onScroll: () => void;
}

/** Keeps a scroller at its end when `content` changes, for as long as the reader has not scrolled away from it. */
export function useFollow<E extends HTMLElement>(content: unknown): Follow<E> {
  const scroller = useRef<E>(null);
  const following = useRef(true);
  /** Of the scroller, when it was last looked at. */
  const height = useRef(0);

  const follow = useCallback(() => {
    const element = scroller.current;
    if (element === null) return;
    height.current = element.clientHeight;
    if (following.current) element.scrollTop = element.scrollHeight;
  }, []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the content is what moves the end
  useLayoutEffect(follow, [content]);

  // Where a neighbour makes it lower, its end is out of sight, and nobody has scrolled.
  useEffect(() => {
    const observer = new ResizeObserver(follow);
    if (scroller.current !== null) observer.observe(scroller.current);
    return () => observer.disconnect();
  }, [follow]);

  const onScroll = useCallback(() => {
    const element = scroller.current;
    if (element === null) return;
    if (element.clientHeight !== height.current) follow();
    else following.current = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_END;
  }, [follow]);

  return { scroller, onScroll };
}
