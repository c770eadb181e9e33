import type { Epoch, EventLog, LogEntry, LogFeed, Page, ReadQuery } from "everstream";
import { NO_EVENT } from "../../src/hub/log.ts";

/** A log that is driven by hand: what it holds, what its feed tells and when its reads are answered is the test's to say. */
export class HandLog {
  epochs: readonly Epoch[] = [{ epoch: 1, first: 1 }];
  entries: LogEntry[] = [];
  head = 0;
  /** The most entries of a page. */
  maxEntries = Number.POSITIVE_INFINITY;
  /** What a read waits for when it has been made and is about to be answered. */
  onRead: (query: ReadQuery) => Promise<void> = () => Promise.resolve();
  #feed: LogFeed | undefined;
  #copies = 0;
  /** The sequence after which the feed brings a topic's entries. */
  readonly #followed = new Map<string, number>();

  get log(): EventLog {
    return {
      open: async (feed) => {
        this.#feed = feed;
        return {
          epochs: this.epochs,
          head: this.head,
          append: () => Promise.reject(new Error("The test adds entries by itself.")),
          read: (query) => this.#read(query),
          follow: async (topic) => {
            this.#followed.set(topic, this.head);
            return this.head;
          },
          unfollow: (topic) => void this.#followed.delete(topic),
          expire: () => Promise.resolve(),
          close: () => Promise.resolve(),
        };
      },
    };
  }

  /**
   * Stores events of a topic, whose data are the topic, the sequence and a mark for each copy that has taken its place. Its feed says nothing of
   * them.
   */
  add(topic: string, count = 1): LogEntry[] {
    return Array.from({ length: count }, () => {
      const sequence = ++this.head;
      const event = {
        ...NO_EVENT,
        type: "message",
        data: `${topic}${sequence}${"'".repeat(this.#copies)}`,
      };
      const entry = { sequence, topic, kind: "event" as const, event };
      this.entries.push(entry);
      return entry;
    });
  }

  /** Its feed tells of everything after a sequence that it has to tell of. */
  tell(after: number, through = this.head): void {
    const entries = this.entries.filter(({ topic, sequence }) => {
      const from = this.#followed.get(topic) ?? Number.POSITIVE_INFINITY;
      return sequence > Math.max(after, from) && sequence <= through;
    });
    this.#feed?.onEntries({ after, through, entries });
  }

  /** A copy takes its place that holds what stood through `head`. */
  failOver(epoch: number, head: number): void {
    this.entries = this.entries.filter(({ sequence }) => sequence <= head);
    this.head = head;
    this.#copies++;
    for (const topic of this.#followed.keys()) this.#followed.set(topic, head);
    this.epochs = [...this.epochs, { epoch, first: head + 1 }];
    this.#feed?.onEpoch(this.epochs, head);
  }

  async #read(query: ReadQuery): Promise<Page> {
    const { head } = this;
    const after = typeof query.after === "number" ? query.after : 0;
    const all = this.entries.filter(
      ({ topic, sequence }) => query.topics.includes(topic) && sequence > after,
    );
    const entries = all.slice(0, Math.min(query.maxEntries, this.maxEntries));
    const isWhole = entries.length === all.length;
    const through = isWhole ? Math.max(after, head) : (entries.at(-1)?.sequence ?? after);
    const topics = query.topics.map(() => ({
      first: 0,
      last: 0,
      trimmedThrough: 0,
      deleted: false,
      finishedAt: 0,
    }));
    await this.onRead(query);
    return { after, entries, through, head, topics };
  }
}

/** Something that is waited for until the test lets it go on. */
export class Barrier {
  #open: () => void = () => undefined;
  readonly #opened = new Promise<void>((resolve) => {
    this.#open = resolve;
  });
  #arrived: () => void = () => undefined;
  /** Resolves when somebody has come to it. */
  readonly reached = new Promise<void>((resolve) => {
    this.#arrived = resolve;
  });

  /** Waits here until the barrier is opened. */
  pass(): Promise<void> {
    this.#arrived();
    return this.#opened;
  }

  open(): void {
    this.#open();
  }
}
