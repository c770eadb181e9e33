import { type RefObject, useEffect, useRef, useState } from "react";

/** The value of the last rendering that was committed. To be used before effects that read it. */
export function useLatest<T>(value: T): RefObject<T> {
  const latest = useRef(value);
  useEffect(() => {
    latest.current = value;
  });
  return latest;
}

/** What `create` makes, until `key` or `owner` is another one. */
export function useKept<T>(key: unknown, owner: unknown, create: () => T): T {
  const make = () => ({ key, owner, value: create() });
  const [state, setState] = useState(make);
  if (state.key === key && state.owner === owner) return state.value;
  const next = make();
  setState(next);
  return next.value;
}
