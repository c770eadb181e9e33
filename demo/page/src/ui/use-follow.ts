import { type RefObject, useCallback, useLayoutEffect, useRef } from "react";

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

  // biome-ignore lint/correctness/useExhaustiveDependencies: the content is what moves the end
  useLayoutEffect(() => {
    const element = scroller.current;
    if (element !== null && following.current) element.scrollTop = element.scrollHeight;
  }, [content]);

  const onScroll = useCallback(() => {
    const element = scroller.current;
    if (element === null) return;
    following.current = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_END;
  }, []);

  return { scroller, onScroll };
}
