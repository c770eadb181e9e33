import type { EventStream } from "./event-stream.ts";
import { IDLE, isFinal, type StreamStatus } from "./machine.ts";
import type { StreamSnapshot, StreamStore } from "./store.ts";
import { createSubscribers, LINGER_MS } from "./subscribers.ts";

/** A share in a stream that others may use, too. */
export interface StreamLease {
  readonly stream: EventStream;
  /** Gives it back; the last one closes the stream. May be called twice. */
  release(): void;
}

/** Which of a key's streams will do. */
export interface LeaseTerms {
  /**
   * The id of the last event that the caller has. A stream that is elsewhere would not bring what came in between, so
   * one that is will not do. Default: none, any stream will do.
   */
  readonly lastEventId?: string | undefined;
  /** Whether a stream that has ended will not do. Default `false`; one that failed never does. */
  readonly reopen?: boolean | undefined;
}

/**
 * The streams of an application: one for each key, and more only while some have yet to catch up. `U` is what is known of
 * their users.
 */
export interface StreamRegistry<U = unknown> {
  /**
   * Joins a stream of that key, or opens one where none will do.
   *
   * @param open Given all users of the stream, as they come and go, the newest last.
   * @param user What `open` is to know of this one.
   */
  acquire(
    key: string,
    open: (users: ReadonlySet<U>) => EventStream,
    terms?: LeaseTerms,
    user?: U,
  ): StreamLease;
  /** Closes all its streams at once, whoever has them. It can be used on. */
  close(): void;
}

interface Entry<U> {
  readonly key: string;
  readonly stream: EventStream;
  readonly users: Set<U>;
}

/** Creates a registry without streams. */
export function createStreamRegistry<U = unknown>(): StreamRegistry<U> {
  const entries = new Set<Entry<U>>();
  return {
    acquire(key, open, { lastEventId, reopen } = {}, user = {} as U) {
      const suits = ({ key: other, stream }: Entry<U>): boolean =>
        other === key &&
        stream.status.state !== "failed" &&
        !(reopen && isFinal(stream.status)) &&
        (!lastEventId || stream.lastEventId === lastEventId);
      const found = [...entries].find(suits);
      const users = found ? found.users : new Set<U>();
      users.add(user);
      const entry = found ?? { key, stream: open(users), users };
      const { stream } = entry;
      entries.add(entry);
      return {
        stream,
        release() {
          if (!users.delete(user) || users.size > 0) return;
          entries.delete(entry);
          stream.close();
        },
      };
    },
    close() {
      for (const { stream } of entries) stream.close();
      entries.clear();
    },
  };
}

/** How a leased store gets its stream. */
export interface StoreSource<S> {
  /** @param terms With the id to resume after, where this store had a stream before. */
  acquire(terms: LeaseTerms): StreamLease;
  /** @param data What the store showed last, or its initial value. */
  createStore(stream: EventStream, data: S): StreamStore<S>;
  /** How long the stream is kept without listeners, in milliseconds. Default 250. */
  readonly linger?: number | undefined;
  /** What is shown of the connection until there is a stream. Default: that it is `idle`. */
  readonly status?: StreamStatus | undefined;
}

/** A store that gets and gives back its stream by itself. */
export interface LeasedStore<S> extends StreamStore<S> {
  /** Opens a stream that has failed or ended again, after the last event. Does nothing with any other, or without listeners. */
  reopen(): void;
}

/**
 * Creates a store that leases its stream while it has listeners, and a moment longer. Creating one has no side
 * effect. With listeners again it goes on from the value and the last event ID it had: over a stream of its own, if the
 * others' has moved on meanwhile. Where the server gives no ids it goes on from now.
 */
export function createLeasedStore<S>(
  initial: S,
  { acquire, createStore, linger = LINGER_MS, status = IDLE }: StoreSource<S>,
): LeasedStore<S> {
  let snapshot: StreamSnapshot<S> = { data: initial, status };
  let lastEventId = "";
  let held: { readonly store: StreamStore<S>; letGo(): void } | undefined;

  const take = (reopen = false): void => {
    const lease = acquire({ lastEventId, reopen });
    const store = createStore(lease.stream, snapshot.data);
    const unsubscribe = store.subscribe(emit);
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
  const { subscribe, emit, isEmpty } = createSubscribers(() => {
    if (held === undefined) take();
    return () => held?.letGo();
  }, linger);
  return {
    getSnapshot: () => held?.store.getSnapshot() ?? snapshot,
    subscribe,
    reopen() {
      if (isEmpty() || held === undefined || !isFinal(held.store.getSnapshot().status)) return;
      held.letGo();
      take(true);
      emit();
    },
  };
}
