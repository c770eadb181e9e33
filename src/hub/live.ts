import { EverstreamError } from "../errors.ts";
import { Audience } from "./audience.ts";
import type { AudienceHost } from "./audience-host.ts";
import { Epochs } from "./epochs.ts";
import { Frame } from "./frame.ts";
import type { Delivery, Epoch, EventLog, LogConnection, LogEntry, TopicState } from "./log.ts";
import type { Meter } from "./meter.ts";
import { Pages } from "./pages.ts";
import { Pump } from "./pump.ts";
import type { Reader } from "./reader.ts";
import { Ring } from "./ring.ts";
import type { SlowPolicies } from "./slow.ts";

/** How many changes of epoch one piece of work outlasts: more than one in its time is a log that can't be used. */
const MAX_EPOCHS_MET = 3;

/** A topic that somebody here reads. */
interface LiveTopic {
  readonly name: string;
  /** The sequence after which the feed brings all of its entries. */
  completeAfter: number | Promise<number>;
  readonly audiences: Set<Audience>;
  /** How many audiences need it, the ones that are only being made among them. */
  users: number;
  /** The most that any of its audiences has waiting since the last publish, as {@link Ring.weight} counts it. */
  unsent: number;
}

/** The live side of a hub: takes what the log accepts, and hands it to the audiences of its topics. */
export class Live implements AudienceHost {
  readonly connection: LogConnection;
  readonly pump = new Pump();
  readonly meter: Meter;
  epochs: Epochs;
  pages: Pages;
  through: number;
  closed = false;

  readonly #slowPolicies: (topics: readonly string[]) => SlowPolicies;
  readonly #topics = new Map<string, LiveTopic>();
  readonly #audiences = new Map<string, Audience>();
  #lastId = 0;

  constructor(
    connection: LogConnection,
    slowPolicies: (topics: readonly string[]) => SlowPolicies,
    meter: Meter,
  ) {
    this.connection = connection;
    this.meter = meter;
    this.epochs = new Epochs(connection.epochs);
    this.pages = new Pages(connection, this.epochs);
    this.through = connection.head;
    this.#slowPolicies = slowPolicies;
  }

  /** How many topics have a reader here. */
  get topicCount(): number {
    return this.#topics.size;
  }

  onEntries(delivery: Delivery): void {
    const { after, through, entries } = delivery;
    if (after > this.through) this.#passHole(after);
    for (const entry of entries) if (entry.sequence > this.through) this.#dispatch(entry);
    this.through = Math.max(this.through, through);
    this.pump.kick();
  }

  onEpoch(epochs: readonly Epoch[], head: number): void {
    // While `through` is still the old epoch's: what was not delivered of it has not been seen.
    const audiences = [...this.#audiences.values()];
    const readers = audiences.flatMap((audience) => audience.leaveRing());
    const before = this.epochs;
    const positions = readers.map(({ position }) => before.format(position));
    this.epochs = new Epochs(epochs);
    this.pages = new Pages(this.connection, this.epochs);
    this.through = head;
    // A sequence of the epoch before says nothing here. Where the log is still being asked, its answer will.
    for (const topic of this.#topics.values()) {
      if (typeof topic.completeAfter === "number") topic.completeAfter = head;
    }
    for (const audience of audiences) audience.changeEpoch(head);
    // Only now: listeners may do anything, and what they do is of the new epoch.
    for (const [index, reader] of readers.entries()) this.#goOn(reader, positions[index] as string, before);
    this.pump.kick();
  }

  /**
   * The audience of these topics, sorted and each once, which the caller holds from then on. At once where the log
   * answers at once, so that nothing published after this call is missed.
   */
  join(topics: readonly string[]): Audience | Promise<Audience> {
    const key = keyOf(topics);
    const audience = this.#audiences.get(key);
    if (audience !== undefined) {
      audience.hold();
      return audience;
    }
    // The hub's user has a say in it, and may fail: before anything is followed.
    const slow = this.#slowPolicies(topics);
    const followed = topics.map((topic) => this.#follow(topic));
    if (followed.every((completeAfter) => typeof completeAfter === "number")) {
      return this.#newAudience(key, topics, followed, slow);
    }
    return this.#joinLater(key, topics, followed, slow);
  }

  /**
   * Does what asks the log several things, and does it anew where another epoch has begun meanwhile: what the log answered
   * before means something else then. What was under way it has rejected.
   *
   * @param undo Takes back what came of it, where it is done anew.
   */
  async inOneEpoch<Result>(
    work: () => Result | Promise<Result>,
    undo?: (result: Result) => void,
  ): Promise<Result> {
    for (let left = MAX_EPOCHS_MET; ; left--) {
      const { epochs } = this;
      try {
        const result = await work();
        if (this.epochs === epochs) return result;
        undo?.(result);
        if (left === 0) throw restlessError();
      } catch (error) {
        if (this.epochs === epochs || this.closed || left === 0) throw error;
      }
    }
  }

  /** What publishing to `topic` has to wait for, if anything. */
  pressure(topic: string): Promise<void> | undefined {
    return this.pump.pressure(this.#topics.get(topic)?.unsent ?? 0);
  }

  async readStates(topics: readonly string[]): Promise<readonly TopicState[]> {
    const page = await this.connection.read({ topics, after: 0, maxEntries: 0, maxBytes: 0 });
    return page.topics;
  }

  letGo(audience: Audience): void {
    this.#audiences.delete(audience.key);
    for (const topic of audience.topics) {
      this.#topics.get(topic)?.audiences.delete(audience);
      this.#unfollow(topic);
    }
  }

  close(): Promise<void> {
    this.closed = true;
    return this.connection.close();
  }

  /** The feed has lost what comes before this: it is read from the log, and the feed goes on behind it. */
  #passHole(after: number): void {
    const readers = [...this.#audiences.values()].flatMap((audience) => audience.jump(after));
    this.through = after;
    for (const reader of readers) reader.wake();
  }

  /**
   * Has a reader go on in the epoch that has begun. Who had come no further than what the log has kept of the one before
   * has lost nothing.
   */
  #goOn(reader: Reader, after: string, before: Epochs): void {
    if (reader.left) return;
    const { epochs, through } = this;
    if (typeof epochs.resolve(after) === "number") reader.onKept(epochs.keptOf(before));
    else reader.onEpoch({ reason: "epoch", after, next: epochs.format(through) }, through);
  }

  #dispatch(entry: LogEntry): void {
    const topic = this.#topics.get(entry.topic);
    if (topic === undefined) return;
    topic.unsent = 0;
    if (entry.kind === "finish") {
      for (const audience of topic.audiences) audience.finish(topic.name, entry.sequence);
      return;
    }
    const frame = this.#frameOf(entry);
    for (const audience of topic.audiences) {
      if (entry.kind === "delete") audience.erase(topic.name, frame);
      else audience.push(frame);
      topic.unsent = Math.max(topic.unsent, audience.unsent);
    }
  }

  #frameOf(entry: LogEntry): Frame {
    const id = this.epochs.format(entry.sequence);
    if (entry.kind !== "delete") return new Frame(entry, id);
    // What the log said of the topic before is no longer to be handed out.
    this.pages.clear();
    const after = this.epochs.format(entry.sequence - 1);
    return new Frame(entry, id, { topic: entry.topic, reason: "deleted", after, next: id });
  }

  async #joinLater(
    key: string,
    topics: readonly string[],
    followed: readonly (number | Promise<number>)[],
    slow: SlowPolicies,
  ): Promise<Audience> {
    try {
      const completeAfter = await Promise.all(followed);
      // Somebody else may have been quicker.
      const audience = this.#audiences.get(key);
      if (audience === undefined) return this.#newAudience(key, topics, completeAfter, slow);
      audience.hold();
      for (const topic of topics) this.#unfollow(topic);
      return audience;
    } catch (error) {
      for (const topic of topics) this.#unfollow(topic);
      throw error;
    }
  }

  #newAudience(
    key: string,
    topics: readonly string[],
    completeAfter: readonly number[],
    slow: SlowPolicies,
  ): Audience {
    const base = Math.max(this.through, ...completeAfter);
    const ring = new Ring(base, slow.maxBytes, slow.differ);
    const audience = new Audience(++this.#lastId, key, topics, ring, this, slow.differ ? slow : undefined);
    this.#audiences.set(key, audience);
    for (const topic of topics) this.#topics.get(topic)?.audiences.add(audience);
    audience.hold();
    void audience.learnEnds();
    return audience;
  }

  #follow(name: string): number | Promise<number> {
    let topic = this.#topics.get(name);
    if (topic === undefined) {
      topic = { name, completeAfter: 0, audiences: new Set(), users: 0, unsent: 0 };
      topic.completeAfter = this.#ask(topic);
      this.#topics.set(name, topic);
    }
    topic.users++;
    return topic.completeAfter;
  }

  #ask(topic: LiveTopic): number | Promise<number> {
    const completeAfter = this.connection.follow(topic.name);
    if (typeof completeAfter === "number") return completeAfter;
    return completeAfter.then((sequence) => {
      topic.completeAfter = sequence;
      return sequence;
    });
  }

  #unfollow(name: string): void {
    const topic = this.#topics.get(name);
    if (topic === undefined || --topic.users > 0) return;
    this.#topics.delete(name);
    if (!this.closed) this.connection.unfollow(name);
  }
}

/** Connects to a log. */
export async function openLive(
  log: EventLog,
  slowPolicies: (topics: readonly string[]) => SlowPolicies,
  meter: Meter,
): Promise<Live> {
  let live: Live | undefined;
  // What the log tells before we have its connection in hands.
  const early: ((live: Live) => void)[] = [];
  const tell = (news: (live: Live) => void): void => {
    if (live === undefined) early.push(news);
    else news(live);
  };
  const connection = await log.open({
    onEntries: (delivery) => tell((opened) => opened.onEntries(delivery)),
    onEpoch: (epochs, head) => tell((opened) => opened.onEpoch(epochs, head)),
  });
  live = new Live(connection, slowPolicies, meter);
  for (const news of early) news(live);
  return live;
}

function restlessError(): EverstreamError {
  return new EverstreamError(
    "LOG_FAILED",
    "The log has begun one epoch after the other while it was read; see that what it stands on keeps its data.",
  );
}

/** One text for a set of topics, whatever their names hold. */
function keyOf(topics: readonly string[]): string {
  if (topics.length === 1) return `=${topics[0]}`;
  return topics.map((topic) => `${topic.length}:${topic}`).join("");
}
