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
  const make = () => [key, owner, create()] as const;
  const [[ofKey, ofOwner, value], keep] = useState(make);
  if (ofKey === key && ofOwner === owner) return value;
  const next = make();
  keep(next);
  return next[2];
}
