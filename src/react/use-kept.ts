import { useInsertionEffect, useState } from "react";

export function doNothing(): void {
  // There is nothing to do.
}

/**
 * What `create` makes, until `key` or `owner` is another one.
 *
 * @param value What the function that `create` is given gives: the one of the last rendering with this key and owner that was
 *   committed. It does so before any effect, of components further down as well, can open a stream.
 */
export function useKept<T, L>(key: unknown, owner: unknown, value: L, create: (latest: () => L) => T): T {
  const make = () => {
    // There before what is made, which may ask for the value at once.
    const latest = { value };
    return [key, owner, latest, create(() => latest.value)] as const;
  };
  const [last, keep] = useState(make);
  let kept = last;
  if (last[0] !== key || last[1] !== owner) {
    kept = make();
    keep(kept);
  }
  useInsertionEffect(() => {
    kept[2].value = value;
  });
  return kept[3];
}
