import type { EventStream } from "./event-stream.ts";
import { createListeners } from "./listeners.ts";
import { IDLE } from "./machine.ts";
import type { StreamSnapshot, StreamStore } from "./store.ts";

/** A share in a stream that others may use, too. */
export interface StreamLease {
  readonly stream: EventStream;
  /** Gives it back; the last one closes the stream. May be called twice. */
  release(): void;
}

/** The streams of an application, one for each key. */
export interface StreamRegistry {
  /** Joins the stream of that key, whatever became of it, or opens one. */
  acquire(key: string, open: () => EventStream): StreamLease;
}

/** Creates a registry without streams. */
export function createStreamRegistry(): StreamRegistry {
  const entries = new Map<string, { readonly stream: EventStream; leases: number }>();
  return {
    acquire(key, open) {
      const entry = entries.get(key) ?? { stream: open(), leases: 0 };
      entries.set(key, entry);
      entry.leases++;
      let held = true;
      return {
        stream: entry.stream,
        release() {
          if (!held) return;
          held = false;
          if (--entry.leases > 0) return;
          entries.delete(key);
          entry.stream.close();
        },
      };
    },
  };
}

/** How a leased store gets its stream. */
export interface StoreSource<S> {
  /** @param lastEventId The id to resume after, if the stream has to be opened and this store had another before. */
  acquire(lastEventId: string): StreamLease;
  /** @param data What the store showed last, or its initial value. */
  createStore(stream: EventStream, data: S): StreamStore<S>;
}

/**
 * Views come and go in moments: React's StrictMode unmounts each once, a change of route mounts the same stream in
 * another place. Connections should not.
 */
const RELEASE_DELAY_MS = 250;

/**
 * Creates a store that leases its stream while it has listeners, and a moment longer. Creating one has no side
 * effect. With listeners again it goes on from the value and the last event ID it had.
 */
export function createLeasedStore<S>(initial: S, source: StoreSource<S>): StreamStore<S> {
  const listeners = createListeners<undefined>();
  let snapshot: StreamSnapshot<S> = { data: initial, status: IDLE };
  let lastEventId = "";
  let count = 0;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let held: { readonly store: StreamStore<S>; letGo(): void } | undefined;

  const take = (): void => {
    const lease = source.acquire(lastEventId);
    const store = source.createStore(lease.stream, snapshot.data);
    const unsubscribe = store.subscribe(() => listeners.emit(undefined));
    held = {
      store,
      letGo() {
        unsubscribe();
        held = undefined;
        snapshot = { data: store.getSnapshot().data, status: IDLE };
        lastEventId = lease.stream.lastEventId;
        lease.release();
      },
    };
  };

  return {
    getSnapshot: () => held?.store.getSnapshot() ?? snapshot,
    subscribe(listener) {
      clearTimeout(timer);
      const remove = listeners.add(listener);
      count++;
      if (held === undefined) take();
      let active = true;
      return () => {
        if (!active) return;
        active = false;
        remove();
        if (--count === 0) timer = setTimeout(() => held?.letGo(), RELEASE_DELAY_MS);
      };
    },
  };
}
