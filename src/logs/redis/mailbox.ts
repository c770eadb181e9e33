import type { Delivery, Epoch, LogFeed } from "../../hub/log.ts";
import { nextTurn } from "../next-turn.ts";
import { Follows } from "./follows.ts";
import type { Lane } from "./lane.ts";
import type { RedisSettings } from "./options.ts";
import { type Message, parseEpochs, parseMessage } from "./record.ts";
import { CHECK, FOLLOW, JOIN, LEAVE } from "./scripts.ts";
import { Bell, pause, persist } from "./timing.ts";

/** What a mailbox asks of its connection. */
export interface MailboxHost {
  readonly settings: RedisSettings;
  readonly feed: LogFeed;
  /** For scripts. */
  readonly lane: Lane;
  /** For what is pushed, alone. */
  readonly listener: Lane;
  readonly node: string;
  /** How scripts push: "s" to the shard, "p" to everybody, "c" to everybody in a cluster. */
  readonly mode: "s" | "p" | "c";
  /** The number of the first call that is not settled. */
  firstOpenCall(): number;
  /** A number for a new epoch. */
  offer(): string;
}

/**
 * A node's one stream of pushes. Every message says after which sequence it is complete, and through which, for all topics
 * that the node follows: so one that was lost shows in the next one, whatever topic that is about, and the hub reads
 * what it lacks. A message is posted every now and then also where nothing happens, and is missed where it does not come.
 *
 * One task does everything that the mailbox needs, one thing after the other.
 */
export class Mailbox {
  /** The epochs that the feed has told of. */
  epochs: readonly Epoch[] = [];
  readonly #host: MailboxHost;
  readonly #follows: Follows;
  readonly #channel: string;
  #generation = 0;
  #box = "";
  /** The epochs that came with the mailbox, and what is to be done when it begins. */
  #joined: readonly Epoch[] = [];
  #onSync: ((message: Message) => void) | undefined;
  /** Whether its messages count: it has begun, and nothing has happened since that makes another one necessary. */
  #begun = false;
  #isLost = true;
  /** Messages that wait until the feed has been told of a new epoch. */
  #held: Delivery[] | undefined;
  #subscribedLife = -1;
  #unansweredSince = 0;
  #wake: () => void = () => undefined;
  #closed = false;
  /** That the feed was told of another epoch, or that it is closed. */
  readonly #news = new Bell();
  #working: Promise<void> | undefined;

  constructor(host: MailboxHost) {
    this.#host = host;
    this.#channel = `${host.settings.keys}m:${host.node}`;
    this.#follows = new Follows(host.settings, () => this.#wake());
    // The client subscribes again by itself; what was pushed meanwhile is lost.
    host.listener.onReady = () => this.lost();
  }

  get epoch(): string {
    return String(this.epochs.at(-1)?.epoch ?? "");
  }

  /** Begins. Answers with the head behind which the feed begins. */
  async open(): Promise<number> {
    const head = await persist(
      this.#host.settings.timeoutMs,
      () => this.#closed,
      () => this.#sync(),
    );
    this.#working = this.#work();
    return head;
  }

  follow(topic: string): Promise<number> {
    return this.#follows.follow(topic);
  }

  unfollow(topic: string): void {
    this.#follows.unfollow(topic);
  }

  /** Something was lost, or another epoch has begun: a mailbox is needed that begins now. */
  lost(): void {
    this.#isLost = true;
    this.#wake();
  }

  /** Resolves when the feed has been told of another epoch than `epoch`, or after `withinMs`. */
  async told(epoch: string, withinMs: number): Promise<void> {
    const end = performance.now() + withinMs;
    while (this.epoch === epoch && !this.#closed && performance.now() < end) {
      await this.#news.wait(end - performance.now());
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#begun = false;
    this.#follows.close();
    this.#wake();
    this.#news.ring();
    const { lane } = this.#host;
    if (lane.isReady && this.#box !== "") {
      // The others find out by themselves, but later.
      await lane.run(LEAVE, ["", this.#host.offer(), this.#box], LEAVE_MS).catch(() => undefined);
    }
    this.#host.listener.close();
    lane.close();
    await this.#working;
  }

  async #work(): Promise<void> {
    const { checkIntervalMs } = this.#host.settings;
    let nextCheck = performance.now() + checkIntervalMs;
    for (let tries = 0; !this.#closed; ) {
      try {
        if (this.#isLost) {
          await this.#sync();
        } else if (this.#follows.hasWork) {
          await this.#follow();
        } else if (performance.now() >= nextCheck) {
          await this.#check();
          nextCheck = performance.now() + checkIntervalMs;
        } else {
          await this.#sleep(nextCheck - performance.now());
        }
        tries = 0;
      } catch (error) {
        // Whoever waits for it is told when its time is over; the mailbox is needed in any case.
        this.#follows.failLate(error);
        this.#isLost = true;
        await pause(Math.min(1000, 20 * 2 ** Math.min(tries++, 6)), () => this.#closed);
      }
    }
  }

  /** Makes a mailbox that begins at the head of this moment, with all topics that are followed. */
  async #sync(): Promise<number> {
    const { lane, listener, settings, node, mode } = this.#host;
    this.#isLost = false;
    this.#begun = false;
    await Promise.all([lane.ready(settings.timeoutMs), listener.ready(settings.timeoutMs)]);
    await this.#subscribe();
    const before = this.#box;
    this.#box = `${node}.${++this.#generation}`;
    const first = String(this.#host.firstOpenCall());
    const args = [this.epoch, this.#host.offer(), this.#box, before, mode, this.#channel, node, first];
    const [, epochs] = (await lane.run(JOIN, args, settings.patienceMs)) as [string, string];
    this.#joined = parseEpochs(epochs);
    const epoch = String(this.#joined.at(-1)?.epoch);
    for (const topics of this.#follows.all()) {
      const follow = [epoch, this.#host.offer(), this.#box, String(topics.length), ...topics];
      this.#expectOk(await lane.run(FOLLOW, follow, settings.patienceMs));
    }
    const begun = this.#beginning();
    const check = [epoch, this.#host.offer(), this.#box, node, "sync"];
    try {
      const answer = await lane.run(CHECK, check, settings.patienceMs);
      this.#expectOk(answer);
      const head = answer[1] === "0" ? undefined : await this.#inTime(begun);
      if (head !== undefined) return head;
    } finally {
      this.#onSync = undefined;
    }
    listener.reset();
    throw new Error("Redis pushed nothing to a mailbox that was just made.");
  }

  /** Resolves to the head when the mailbox's first message has come, which may be before the answer to what has it posted. */
  #beginning(): Promise<number> {
    return new Promise((resolve) => {
      this.#onSync = ({ through }) => {
        this.#onSync = undefined;
        this.#begin(through, () => resolve(through));
      };
    });
  }

  /** Resolves to `undefined` where it takes longer than it may, or until the mailbox is closed. */
  #inTime(head: Promise<number>): Promise<number | undefined> {
    const late = this.#closed ? Promise.resolve() : this.#news.wait(this.#host.settings.patienceMs);
    return Promise.race([head, late.then(() => undefined)]);
  }

  #begin(head: number, onBegun: () => void): void {
    const before = this.epochs;
    const epochs = this.#joined;
    this.#begun = true;
    this.#unansweredSince = 0;
    if (before.length === 0) {
      this.epochs = epochs;
      onBegun();
      return;
    }
    if (before.at(-1)?.epoch === epochs.at(-1)?.epoch) {
      this.#deliver({ after: head, through: head, entries: [] });
      onBegun();
      return;
    }
    this.#held = [];
    // In a turn of its own, so that no answer of the epoch before comes after it in the same one.
    nextTurn(() => {
      onBegun();
      if (this.#closed) return;
      this.epochs = epochs;
      // They hear of it after the feed has. What the feed asks for is of the new epoch, and is none of them.
      this.#follows.failUnderWay();
      this.#host.feed.onEpoch(epochs, head);
      this.#news.ring();
      const held = this.#held ?? [];
      this.#held = undefined;
      for (const delivery of held) this.#deliver(delivery);
    });
  }

  async #follow(): Promise<void> {
    const { lane } = this.#host;
    const { epoch } = this;
    const { follow, leave } = this.#follows.next();
    const args = [epoch, this.#host.offer(), this.#box, String(follow.length), ...follow, ...leave];
    const answer = await lane.run(FOLLOW, args, this.#host.settings.patienceMs);
    if (answer[0] === "OK" && epoch === this.epoch) {
      this.#follows.done(Number(answer[1]));
      return;
    }
    // Redis no longer knows this mailbox, or the data is another: asked again once there is a mailbox that it knows.
    this.#follows.failLate(new Error(`the mailbox is not known any more (${answer[0]})`));
    this.#isLost = true;
  }

  async #check(): Promise<void> {
    const { lane, listener, node } = this.#host;
    if (
      this.#unansweredSince > 0 &&
      performance.now() - this.#unansweredSince > this.#host.settings.patienceMs
    ) {
      // Nothing comes any more, though somebody is there to whom Redis pushes.
      listener.reset();
      this.#isLost = true;
      return;
    }
    if (this.#unansweredSince === 0) this.#unansweredSince = performance.now();
    const args = [this.epoch, this.#host.offer(), this.#box, node, ""];
    const answer = await lane.run(CHECK, args, this.#host.settings.patienceMs);
    if (answer[0] === "OK" && answer[1] !== "0") return;
    // Whoever listens listens elsewhere.
    if (answer[0] === "OK") listener.reset();
    this.#isLost = true;
  }

  async #subscribe(): Promise<void> {
    const { listener, mode } = this.#host;
    const { life } = listener;
    if (life === this.#subscribedLife) return;
    await listener.subscribe(this.#channel, mode === "s", this.#onMessage, this.#host.settings.patienceMs);
    this.#subscribedLife = listener.life;
    this.#isLost = false;
  }

  readonly #onMessage = (text: string): void => {
    const message = parseMessage(text);
    if (message === undefined || message.box !== this.#box) return;
    if (message.isSync) {
      this.#onSync?.(message);
    } else if (this.#begun) {
      if (message.epoch !== this.#joined.at(-1)?.epoch) {
        this.lost();
        return;
      }
      if (message.entries.length === 0) this.#unansweredSince = 0;
      this.#deliver(message);
    }
  };

  #deliver({ after, through, entries }: Delivery): void {
    if (this.#closed) return;
    if (this.#held !== undefined) this.#held.push({ after, through, entries });
    else this.#host.feed.onEntries({ after, through, entries });
  }

  #expectOk(answer: readonly string[]): void {
    if (answer[0] !== "OK") throw new Error(`Redis' data changed meanwhile (${answer[0]}).`);
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#wake(), ms);
      this.#wake = () => {
        this.#wake = () => undefined;
        clearTimeout(timer);
        resolve();
      };
      if (this.#closed || this.#isLost || this.#follows.hasWork) this.#wake();
    });
  }
}

/** How long leaving may take. */
const LEAVE_MS = 300;
