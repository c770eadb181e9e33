import { type RefObject, useEffect, useRef, useState } from "react";

interface OnScreen<E extends HTMLElement> {
  readonly place: RefObject<E | null>;
  readonly onScreen: boolean;
}

/**
 * Whether anybody can see an element. Browsers allow six connections to a server over HTTP/1.1: what is not in view should
 * not hold one of them.
 */
export function useOnScreen<E extends HTMLElement>(): OnScreen<E> {
  const place = useRef<E>(null);
  const [onScreen, setOnScreen] = useState(false);
  useEffect(() => {
    const observer = new IntersectionObserver((entries) => {
      setOnScreen(entries.at(-1)?.isIntersecting === true);
    });
    if (place.current !== null) observer.observe(place.current);
    return () => observer.disconnect();
  }, []);
  return { place, onScreen };
}
