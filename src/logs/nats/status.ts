import type { NatsConnection, Status } from "@nats-io/transport-node";

type Listener = (status: Status) => void;

/** By connection, who listens to what befalls it. */
const watched = new WeakMap<NatsConnection, Set<Listener>>();

/**
 * Tells `listener` what befalls a connection, until the function that is returned is called. A connection's statuses can't be
 * left before the next one comes: so one loop listens for all logs that ever use it, and ends with it.
 */
export function onStatus(connection: NatsConnection, listener: Listener): () => void {
  let listeners = watched.get(connection);
  if (listeners === undefined) {
    listeners = new Set();
    watched.set(connection, listeners);
    void watch(connection, listeners);
  }
  const all = listeners.add(listener);
  return () => void all.delete(listener);
}

async function watch(connection: NatsConnection, listeners: ReadonlySet<Listener>): Promise<void> {
  try {
    for await (const status of connection.status()) {
      for (const listener of [...listeners]) listener(status);
    }
  } catch {
    // Nobody can say any more what befalls it, which is as good as closed.
    for (const listener of [...listeners]) listener({ type: "close" });
  }
}
