import { useInsertionEffect, useState } from "react";

export function doNothing(): void {
  // There is nothing to do.
}

interface Kept<T, L> {
  readonly key: unknown;
  readonly owner: unknown;
  value: L;
  readonly made: T;
}

/**
 * What `create` makes, until `key` or `owner` is another one.
 *
 * @param value What the function that `create` is given gives: the one of the last rendering with this key and owner that was
 *   committed. It does so before any effect, of components further down as well, can open a stream.
 */
export function useKept<T, L>(key: unknown, owner: unknown, value: L, create: (latest: () => L) => T): T {
  const make = (): Kept<T, L> => {
    const kept: Kept<T, L> = { key, owner, value, made: create(() => kept.value) };
    return kept;
  };
  const [last, keep] = useState(make);
  let kept = last;
  if (kept.key !== key || kept.owner !== owner) {
    kept = make();
    keep(kept);
  }
  useInsertionEffect(() => {
    kept.value = value;
  });
  return kept.made;
}
