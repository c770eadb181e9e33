import { useSyncExternalStore } from "react";

/** Which of several servers answered last, by path and query. A tab that shares another's stream does not see it. */
const nodes = new Map<string, string>();
const listeners = new Set<() => void>();

/** More paths than the page ever has open. */
const MAX_PATHS = 200;

/** Takes note of the server that an answer names, if it does; one that is alone has no name. */
export function noteNode(path: string, response: Response): void {
  const node = response.headers.get("x-node");
  if (node === null || nodes.get(path) === node) return;
  nodes.delete(path);
  nodes.set(path, node);
  if (nodes.size > MAX_PATHS) nodes.delete(nodes.keys().next().value as string);
  for (const listener of listeners) listener();
}

/** The server that a stream comes from, where there are several. */
export function useNode(path: string): string | undefined {
  return useSyncExternalStore(subscribe, () => nodes.get(path));
}

function subscribe(listener: () => void): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
