import type { Delivery, EventLog, LogConnection, LogFeed } from "everstream";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A read that asks for no entries asks for the topics' states. */
export type Call = "append" | "read" | "states" | "follow";

/** What a test does to a log that is far away. */
export interface Distance {
  /** Called at each end of each of the hub's calls to the log, the feed's deliveries aside. */
  onCall?: (call: Call, moment: "before" | "after") => void | Promise<void>;
  /** Whether to lose this delivery on its way. */
  loses?: (delivery: Delivery) => boolean;
}

/**
 * A log as if over a network: calls and deliveries take a turn of the event loop, deliveries hold only the entries of
 * topics that are followed, following takes time, and deliveries can get lost.
 */
export function remoteLog(log: EventLog, distance: Distance = {}): EventLog {
  return {
    async open(feed) {
      const followed = new Map<string, number>();
      const connection = await log.open(remoteFeed(feed, followed, distance));
      return remoteConnection(connection, followed, distance);
    },
  };
}

/** A log whose feed can be held up, while everything else goes on; what it has to tell then comes as one. */
export function withFeedHeld(log: EventLog): { log: EventLog; hold: () => void; release: () => void } {
  let held: Delivery | undefined;
  let isHeld = false;
  let tell: LogFeed["onEntries"] = () => undefined;
  return {
    log: {
      open: (feed) => {
        tell = (delivery) => feed.onEntries(delivery);
        const onEntries = (delivery: Delivery): void => {
          if (!isHeld) feed.onEntries(delivery);
          else if (held === undefined) held = delivery;
          else held = { ...delivery, after: held.after, entries: [...held.entries, ...delivery.entries] };
        };
        return log.open({ onEntries, onEpoch: (epochs, head) => feed.onEpoch(epochs, head) });
      },
    },
    hold: () => {
      isHeld = true;
    },
    release: () => {
      isHeld = false;
      if (held !== undefined) tell(held);
      held = undefined;
    },
  };
}

function remoteFeed(feed: LogFeed, followed: Map<string, number>, distance: Distance): LogFeed {
  let last = Promise.resolve();
  return {
    onEntries(delivery) {
      const lost = distance.loses?.(delivery) ?? false;
      const entries = delivery.entries.filter(({ topic }) => followed.has(topic));
      last = last.then(turn).then(() => {
        if (!lost) feed.onEntries({ ...delivery, entries });
      });
    },
    onEpoch: (epochs, head) => feed.onEpoch(epochs, head),
  };
}

function remoteConnection(
  connection: LogConnection,
  followed: Map<string, number>,
  { onCall }: Distance,
): LogConnection {
  const far = async <Result>(call: Call, work: () => Result | Promise<Result>) => {
    await turn();
    await onCall?.(call, "before");
    const result = await work();
    await onCall?.(call, "after");
    await turn();
    return result;
  };
  return {
    epochs: connection.epochs,
    head: connection.head,
    append: (request) => far("append", () => connection.append(request)),
    read: (query) => far(query.maxEntries > 0 ? "read" : "states", () => connection.read(query)),
    follow: (topic) =>
      far("follow", () => {
        followed.set(topic, (followed.get(topic) ?? 0) + 1);
        return connection.follow(topic);
      }),
    unfollow(topic) {
      const count = (followed.get(topic) ?? 0) - 1;
      if (count > 0) followed.set(topic, count);
      else followed.delete(topic);
    },
    expire: (now) => connection.expire(now),
    close: () => connection.close(),
  };
}
