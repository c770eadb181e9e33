import type { Subscription } from "@nats-io/transport-node";
import { Deque } from "../../hub/deque.ts";
import type { Delivery, Epoch, LogEntry, LogFeed } from "../../hub/log.ts";
import { nextTurn } from "../next-turn.ts";
import { lastSequenceOf, nameOf } from "./names.ts";
import { decodeEntries, type Position } from "./record.ts";
import type { Session } from "./session.ts";
import { directMessage, type StreamMessage, stampOf } from "./stream-message.ts";

/** How long a message that the clock has told of may be on its way before it is asked for. */
const PUSH_GRACE_MS = 5;
/** How long it is waited after a question that was in vain: nobody may serve the stream at the moment. */
const RETRY_MS = 50;
/** How many of them are asked for at once. */
const MAX_ASKED = 64;
/** How much may have been pushed ahead of the clock before it is dropped, to be asked for later. */
const MAX_AHEAD_CHARS = 32 * 1024 * 1024;

interface Followed {
  readonly topic: string;
  /** When it is let go of, unless somebody follows it again; 0 while somebody does. */
  leavesAt: number;
  subscription: Subscription | undefined;
  /** Why the server does not push its entries, if it refuses to: each has to be asked for. */
  refusal: Error | undefined;
}

/** A message that the clock has told of. */
interface Due {
  readonly message: number;
  readonly stamp: string;
  /** The topic, where somebody follows it. */
  readonly topic: string | undefined;
  asked: boolean;
}

/** A message that was pushed, or asked for. */
interface Pushed {
  readonly stamp: string;
  readonly text: string;
}

/**
 * The hub's feed. The clock says what there is, in order; the entries of followed topics come by the server's push, which
 * may lose some: these are asked for. Nothing goes past a message of a followed topic whose entries are not there.
 */
export class Feed {
  readonly #feed: LogFeed;
  readonly #unfollowMs: number;
  readonly #followed = new Map<string, Followed>();
  readonly #due = new Deque<Due>();
  /** What was pushed, by message. */
  readonly #pushed = new Map<number, Pushed>();
  #pushedChars = 0;
  #session: Session | undefined;
  /** Through where the hub was told. */
  #through: Position = 0;
  #isScheduled = false;
  #graceTimer: ReturnType<typeof setTimeout> | undefined;
  #asking = 0;
  #wasInVain = false;

  constructor(feed: LogFeed, unfollowMs: number) {
    this.#feed = feed;
    this.#unfollowMs = unfollowMs;
  }

  /** The feed goes on over another link. With `epochs`, in another epoch. */
  begin(session: Session, epochs: readonly Epoch[] | undefined): void {
    this.#session = session;
    this.#asking = 0;
    if (session.isResumed) {
      for (let index = 0; index < this.#due.length; index++) (this.#due.at(index) as Due).asked = false;
      this.#schedule();
    } else {
      this.#due.clear();
      this.#pushed.clear();
      this.#pushedChars = 0;
    }
    for (const followed of this.#followed.values()) this.#subscribe(followed);
    if (!session.isResumed) this.#jump(session.head, epochs);
    session.begin((message) => this.#onClock(message));
  }

  #jump(head: Position, epochs: readonly Epoch[] | undefined): void {
    const isHole = this.#through > 0 && head > this.#through;
    this.#through = head;
    if (epochs !== undefined) this.#feed.onEpoch(epochs, head);
    else if (isHole) this.#feed.onEntries({ after: head, through: head, entries: [] });
  }

  /**
   * Has this topic's entries come from now on. The server knows of it, or has refused it, before it answers anything that
   * is asked later.
   */
  follow(topic: string): void {
    let followed = this.#followed.get(topic);
    if (followed === undefined) {
      followed = { topic, leavesAt: 0, subscription: undefined, refusal: undefined };
      this.#followed.set(topic, followed);
      this.#subscribe(followed);
    } else if (followed.refusal !== undefined) {
      // Its permissions may be others by now.
      this.#subscribe(followed);
    }
    followed.leavesAt = 0;
  }

  /** Why the server does not push a topic's entries, if it has refused to. */
  refusalOf(topic: string): Error | undefined {
    return this.#followed.get(topic)?.refusal;
  }

  unfollow(topic: string): void {
    const followed = this.#followed.get(topic);
    if (followed !== undefined) followed.leavesAt = performance.now() + this.#unfollowMs;
  }

  /** Called now and then: lets go of what nobody has followed for a while. */
  sweep(): void {
    const now = performance.now();
    for (const [topic, { leavesAt, subscription }] of this.#followed) {
      if (leavesAt === 0 || leavesAt > now) continue;
      this.#followed.delete(topic);
      if (subscription !== undefined) this.#session?.link.unsubscribe(subscription);
    }
  }

  stop(): void {
    this.#session = undefined;
    this.#due.clear();
    clearTimeout(this.#graceTimer);
  }

  #subscribe(followed: Followed): void {
    const session = this.#session;
    if (session === undefined || session.link.failure !== undefined) return;
    const subject = session.subjects.live(followed.topic);
    followed.refusal = undefined;
    followed.subscription = session.link.subscribe(
      subject,
      (message) => {
        if (session === this.#session) this.#onPush(directMessage(message));
      },
      (refusal) => {
        if (session === this.#session) followed.refusal = refusal;
      },
    );
  }

  #onPush(message: StreamMessage): void {
    const { sequence } = message;
    // What the clock has passed was asked for, or was nobody's.
    if (lastSequenceOf(sequence) <= this.#through || this.#pushed.has(sequence)) return;
    const isNext = this.#due.at(0)?.message === sequence;
    if (this.#pushedChars > MAX_AHEAD_CHARS && !isNext) return;
    const text = message.text();
    this.#pushed.set(sequence, { stamp: stampOf(message), text });
    this.#pushedChars += text.length;
    if (isNext) this.#schedule();
  }

  #onClock(message: StreamMessage): void {
    const token = this.#session?.subjects.tokenOf(message.subject);
    const topic = token === undefined ? undefined : this.#nameOf(token);
    this.#due.push({ message: message.sequence, stamp: stampOf(message), topic, asked: false });
    this.#schedule();
  }

  #nameOf(token: string): string | undefined {
    const name = nameOf(token);
    return this.#followed.has(name) ? name : undefined;
  }

  /** What comes in one turn is handed on together. */
  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    nextTurn(() => {
      this.#isScheduled = false;
      this.#deliver();
    });
  }

  #deliver(): void {
    if (this.#session === undefined) return;
    const after = this.#through;
    let through = 0;
    const entries: LogEntry[] = [];
    for (let due = this.#due.at(0); due !== undefined; due = this.#due.at(0)) {
      const pushed = this.#pushed.get(due.message);
      if (pushed === undefined && due.topic !== undefined) break;
      if (pushed !== undefined && pushed.stamp !== due.stamp) {
        this.#session.distrust("the stream's copies differ");
        return;
      }
      // It may have been pushed while its topic was still followed.
      if (pushed !== undefined) this.#drop(due.message, pushed);
      if (pushed !== undefined && due.topic !== undefined) {
        entries.push(...decodeEntries(due.topic, due.message, pushed.text));
      }
      through = due.message;
      this.#due.shift();
    }
    if (through > 0) this.#hand({ after, through: lastSequenceOf(through), entries });
    if (this.#due.length > 0) this.#awaitPush();
  }

  #hand(delivery: Delivery): void {
    this.#through = delivery.through;
    this.#feed.onEntries(delivery);
  }

  #drop(message: number, { text }: Pushed): void {
    this.#pushed.delete(message);
    this.#pushedChars -= text.length;
  }

  #awaitPush(): void {
    if (this.#graceTimer !== undefined) return;
    this.#graceTimer = setTimeout(
      () => {
        this.#graceTimer = undefined;
        this.#askForMissing();
      },
      this.#wasInVain ? RETRY_MS : PUSH_GRACE_MS,
    );
    this.#wasInVain = false;
  }

  #askForMissing(): void {
    const session = this.#session;
    // Over a link that has ended there is nobody to ask; the next one's session begins this anew.
    if (session === undefined || session.link.failure !== undefined) return;
    for (let index = 0; index < this.#due.length && this.#asking < MAX_ASKED; index++) {
      const due = this.#due.at(index) as Due;
      if (due.topic === undefined || due.asked || this.#pushed.has(due.message)) continue;
      due.asked = true;
      this.#asking++;
      void this.#ask(session, due);
    }
    if (this.#due.length > 0) this.#awaitPush();
  }

  async #ask(session: Session, due: Due): Promise<void> {
    let found: StreamMessage | undefined;
    try {
      found = await session.get({ seq: due.message });
    } catch {
      // After the grace it is asked for again; a link that has ended has a successor.
      due.asked = false;
      this.#wasInVain = true;
      return;
    } finally {
      if (session === this.#session) this.#asking--;
    }
    if (session !== this.#session) return;
    if (found === undefined) this.#jumpOver(due);
    else this.#onPush(found);
  }

  /** A message is gone already, trimmed or erased: the hub finds out from the log what its readers are to be told. */
  #jumpOver(due: Due): void {
    for (let next = this.#due.at(0); next !== undefined; next = this.#due.at(0)) {
      if (next.message > due.message) break;
      const pushed = this.#pushed.get(next.message);
      if (pushed !== undefined) this.#drop(next.message, pushed);
      this.#due.shift();
    }
    const at = lastSequenceOf(due.message);
    this.#hand({ after: at, through: at, entries: [] });
    this.#schedule();
  }
}
