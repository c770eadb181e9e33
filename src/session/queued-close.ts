import type { NodeResponse } from "./node-sink.ts";

/** A connection's socket. */
type Connection = Extract<NodeResponse, { chunkedEncoding: boolean }>["req"]["socket"];

/** Whom to tell when a connection closes. One listener stands for all: Node would warn of more than ten. */
const waiting = new WeakMap<Connection, Set<() => void>>();
/**
 * So many streams may wait on one connection; one more, and it is cut. Each costs its client a few bytes and the server as
 * much memory as any, and none can begin before the one ahead of it has ended.
 */
const MAX_WAITING = 100;

/**
 * Calls `listener` when the client of a response leaves that still waits behind another on its connection: Node tells
 * only the response whose turn it is.
 */
export function onQueuedClose(response: NodeResponse, listener: () => void): void {
  if (!("chunkedEncoding" in response) || response.socket !== null) return;
  const { socket } = response.req;
  const listeners = waiting.get(socket) ?? new Set();
  if (listeners.size === 0) {
    waiting.set(socket, listeners);
    socket.once("close", tellAll);
  }
  listeners.add(listener);
  response.once("close", () => {
    listeners.delete(listener);
    if (listeners.size === 0) socket.off("close", tellAll);
  });
  if (listeners.size > MAX_WAITING) socket.destroy();
}

function tellAll(this: Connection): void {
  for (const listener of waiting.get(this) ?? []) listener();
}
