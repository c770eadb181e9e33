import { EverstreamError } from "../errors.ts";
import type {
  AppendRequest,
  AppendResult,
  Epoch,
  LogConnection,
  LogFeed,
  Page,
  ReadQuery,
} from "../hub/log.ts";

/** What the connections of one process share: a log's data, and who is fed. */
export interface Store {
  readonly epochs: readonly Epoch[];
  readonly head: number;
  readonly feeds: Set<LogFeed>;
  append(request: AppendRequest): AppendResult | Promise<AppendResult>;
  read(query: ReadQuery): Page | Promise<Page>;
  expire(now: number): void | Promise<void>;
}

/** How one log's connections differ from another's. */
export interface StoreTraits {
  /** As messages name it. */
  readonly name: string;
  readonly exclusive: boolean;
  /** Lets go of the store, once for each connection. */
  release(): Promise<void>;
}

/** A connection to a store in this process, which feeds every connection everything. */
export class StoreConnection implements LogConnection {
  readonly epochs: readonly Epoch[];
  readonly head: number;
  readonly exclusive: boolean;
  readonly #store: Store;
  readonly #feed: LogFeed;
  readonly #traits: StoreTraits;
  #closing: Promise<void> | undefined;

  constructor(store: Store, feed: LogFeed, traits: StoreTraits) {
    this.#store = store;
    this.#feed = feed;
    this.#traits = traits;
    this.epochs = store.epochs;
    this.head = store.head;
    this.exclusive = traits.exclusive;
    store.feeds.add(feed);
  }

  append(request: AppendRequest): Promise<AppendResult> {
    return this.#whileOpen(() => this.#store.append(request));
  }

  read(query: ReadQuery): Promise<Page> {
    return this.#whileOpen(() => this.#store.read(query));
  }

  follow(): number {
    return this.#store.head;
  }

  unfollow(): void {
    // Telling topics apart would cost more than it saves.
  }

  expire(now: number): Promise<void> {
    return this.#whileOpen(() => this.#store.expire(now));
  }

  close(): Promise<void> {
    this.#store.feeds.delete(this.#feed);
    this.#closing ??= this.#traits.release();
    return this.#closing;
  }

  async #whileOpen<Result>(work: () => Result | Promise<Result>): Promise<Result> {
    if (this.#closing !== undefined) {
      throw new EverstreamError("LOG_CLOSED", `The connection to the ${this.#traits.name} was closed.`);
    }
    return work();
  }
}
