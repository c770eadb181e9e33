import type { EventStream } from "./event-stream.ts";
import { safely } from "./failure.ts";
import { IDLE, isFinal, type StreamStatus } from "./machine.ts";
import type { StreamSnapshot, StreamStore, Tell } from "./store.ts";
import { createSubscribers, LINGER_MS } from "./subscribers.ts";
import { setTimer, type Timer } from "./timer.ts";

/** A share in a stream that others may use, too. */
export interface StreamLease {
  readonly stream: EventStream;
  /**
   * Gives it back; the last one closes the stream. May be called twice.
   *
   * @param keepMs How long the last one leaves it open for who comes next, in milliseconds. Default 0.
   */
  release(keepMs?: number): void;
  /**
   * A share in another stream of the same key that has come to the same event, where there is one: whoever goes on with it
   * from here on, and gives this one back, misses nothing and gets nothing twice. To be asked after each event.
   *
   * @param place The event's id, if it had one of its own, and not that of the event before. Else NaN, which equals nothing.
   */
  merge?(place: string | number): StreamLease | undefined;
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
   * @param open Given who says which user is the newest, or was the last.
   * @param user What `open` is to know of this one.
   */
  acquire(key: string, open: (newest: () => U) => EventStream, terms?: LeaseTerms, user?: U): StreamLease;
  /** Closes all its streams at once, whoever has them. It can be used on. */
  close(): void;
}

interface Entry<U> {
  readonly key: string;
  readonly stream: EventStream;
  readonly users: Set<U>;
  /** Who left last, and the timer that gives the stream up after that. */
  last?: U;
  timer?: Timer | undefined;
  /** What its users said last, see `merge`; nothing where one that may have been the only one to say it has left. */
  place?: string | number | undefined;
}

/** Creates a registry without streams. */
export function createStreamRegistry<U = unknown>(): StreamRegistry<U> {
  const entries = new Set<Entry<U>>();
  const close = (entry: Entry<U>): void => {
    entries.delete(entry);
    entry.stream.close();
  };
  const share = (entry: Entry<U>, user: U): StreamLease => {
    const { stream, users } = entry;
    clearTimeout(entry.timer);
    users.add(user);
    return {
      stream,
      release(keepMs = 0) {
        entry.place = undefined;
        if (!users.delete(user) || users.size > 0) return;
        entry.last = user;
        entry.timer = setTimer(() => close(entry), keepMs);
      },
      merge(place) {
        entry.place = place;
        for (const other of entries) {
          const isOther = other !== entry && other.key === entry.key;
          if (isOther && other.place === place && other.stream.status.state === "open")
            return share(other, user);
        }
        return undefined;
      },
    };
  };
  return {
    acquire(key, open, { lastEventId, reopen } = {}, user = {} as U) {
      for (const other of entries) {
        if (other.key === key) {
          const { status, lastEventId: id } = other.stream;
          const isOfUse = status.state !== "failed" && !(reopen && isFinal(status));
          if (isOfUse && (!lastEventId || id === lastEventId)) return share(other, user);
        }
      }
      const users = new Set([user]);
      const entry: Entry<U> = { key, stream: open(() => [...users].at(-1) ?? (entry.last as U)), users };
      entries.add(entry);
      return share(entry, user);
    },
    close() {
      entries.forEach(close);
    },
  };
}

/** How a leased store gets its stream. */
export interface StoreSource<S> {
  /** @param terms With the id to resume after, where this store had a stream before. */
  acquire(terms: LeaseTerms): StreamLease;
  /**
   * @param data What the store showed last, or its initial value.
   * @param tell Calls back while the store has listeners: at once, or when it has some again. So what is done for events besides
   *   reducing them is done once for each, and never for who has left.
   */
  createStore(stream: EventStream, data: S, tell: Tell): StreamStore<S>;
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
 * others' has moved on meanwhile, until it has caught up. Where the server gives no ids it goes on from now.
 */
export function createLeasedStore<S>(
  initial: S,
  { acquire, createStore, linger = LINGER_MS, status = IDLE }: StoreSource<S>,
): LeasedStore<S> {
  let snapshot: StreamSnapshot<S> = { data: initial, status };
  let lastEventId = "";
  let store: StreamStore<S> | undefined;
  let letGo: ((keepMs?: number) => void) | undefined;
  const untold: (() => void)[] = [];

  const tell: Tell = (callback) => {
    if (isEmpty()) untold.push(callback);
    else safely(callback);
  };
  const getSnapshot = (): StreamSnapshot<S> => store?.getSnapshot() ?? snapshot;
  const hold = (lease: StreamLease): void => {
    const { stream } = lease;
    letGo?.();
    store = createStore(stream, snapshot.data, tell);
    const unsubscribe = store.subscribe(emit);
    // Called after the store has taken the event.
    let last = stream.lastEventId;
    const stop = stream.onEvent(({ lastEventId: id }) => {
      const other = lease.merge?.(id === last ? Number.NaN : id);
      last = id;
      if (other) hold(other);
    });
    letGo = (keepMs) => {
      stop();
      unsubscribe();
      snapshot = { ...getSnapshot(), status: IDLE };
      lastEventId = stream.lastEventId;
      store = letGo = undefined;
      lease.release(keepMs);
    };
    emit();
  };
  const { subscribe, emit, isEmpty } = createSubscribers(
    () => {
      if (!store) hold(acquire({ lastEventId }));
      for (const callback of untold.splice(0)) safely(callback);
      return () => letGo?.(linger - LINGER_MS);
    },
    Math.min(linger, LINGER_MS),
  );
  return {
    getSnapshot,
    subscribe,
    reopen() {
      if (isEmpty() || !isFinal(getSnapshot().status)) return;
      letGo?.();
      hold(acquire({ lastEventId, reopen: true }));
    },
  };
}
