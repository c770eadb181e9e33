import { nextTurn } from "../next-turn.ts";
import { closedError, redisError } from "./failure.ts";
import type { RedisSettings } from "./options.ts";

/** How many topics travel in one call. */
const MAX_AT_ONCE = 1000;

interface Asking {
  readonly topic: string;
  readonly deadline: number;
  readonly resolve: (head: number) => void;
  readonly reject: (error: unknown) => void;
}

/** The topics that a node follows, and what is still to be told of them. */
export class Follows {
  readonly #settings: RedisSettings;
  readonly #onWork: () => void;
  /** Followed, or about to be. */
  readonly #topics = new Set<string>();
  readonly #asking = new Map<string, Asking[]>();
  /** Topics that nobody wants any more, and when they are left, the first ones first. */
  readonly #leaving = new Map<string, number>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** What the call that is under way is about. */
  #underWay: readonly Asking[] = [];
  #closed = false;

  constructor(settings: RedisSettings, onWork: () => void) {
    this.#settings = settings;
    this.#onWork = onWork;
  }

  get hasWork(): boolean {
    if (this.#asking.size > 0) return true;
    const [at] = this.#leaving.values();
    return at !== undefined && at <= performance.now();
  }

  follow(topic: string): Promise<number> {
    if (this.#closed) return Promise.reject(closedError());
    this.#leaving.delete(topic);
    this.#topics.add(topic);
    return new Promise((resolve, reject) => {
      const deadline = performance.now() + this.#settings.timeoutMs;
      const asking = { topic, deadline, resolve, reject };
      const others = this.#asking.get(topic);
      if (others === undefined) this.#asking.set(topic, [asking]);
      else others.push(asking);
      // Those that come in the same turn travel together.
      if (this.#asking.size === 1) nextTurn(() => this.#onWork());
      this.#setTimer();
    });
  }

  unfollow(topic: string): void {
    if (this.#closed || !this.#topics.has(topic)) return;
    this.#leaving.delete(topic);
    this.#leaving.set(topic, performance.now() + this.#settings.unfollowDelayMs);
    this.#setTimer();
  }

  /** All topics, in parts as large as one call takes. */
  *all(): Generator<readonly string[]> {
    const topics = [...this.#topics];
    for (let at = 0; at < topics.length; at += MAX_AT_ONCE) yield topics.slice(at, at + MAX_AT_ONCE);
  }

  /** What the next call is about. */
  next(): { readonly follow: readonly string[]; readonly leave: readonly string[] } {
    const follow = [...this.#asking.keys()].slice(0, MAX_AT_ONCE);
    const asking = follow.flatMap((topic) => this.#asking.get(topic) ?? []);
    for (const topic of follow) this.#asking.delete(topic);
    const leave: string[] = [];
    const now = performance.now();
    for (const [topic, at] of this.#leaving) {
      if (at > now || leave.length >= MAX_AT_ONCE) break;
      this.#leaving.delete(topic);
      this.#topics.delete(topic);
      leave.push(topic);
    }
    this.#underWay = asking;
    return { follow, leave };
  }

  /** The call has been answered: everything after `head` will come. */
  done(head: number): void {
    for (const { resolve } of this.#underWay) resolve(head);
    this.#underWay = [];
    this.#setTimer();
  }

  /** Fails those whose time is over; the others are asked for again. */
  failLate(error: unknown): void {
    this.#askAgain();
    const now = performance.now();
    for (const [topic, asking] of this.#asking) {
      const left = asking.filter(({ deadline }) => deadline > now);
      for (const { deadline, reject } of asking) {
        if (deadline <= now) reject(redisError("follow a topic", error));
      }
      if (left.length === 0) this.#asking.delete(topic);
      else this.#asking.set(topic, left);
    }
  }

  /** Fails all that are under way: what they would be told is of an epoch that is over. */
  failUnderWay(): void {
    this.#askAgain();
    const error = redisError("follow a topic", "another epoch of the log has begun meanwhile");
    for (const asking of this.#asking.values()) for (const { reject } of asking) reject(error);
    this.#asking.clear();
  }

  close(): void {
    this.#askAgain();
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const asking of this.#asking.values()) for (const { reject } of asking) reject(closedError());
    this.#asking.clear();
    this.#leaving.clear();
  }

  #askAgain(): void {
    // What was to be left need not be told again: the next mailbox begins without it.
    for (const one of this.#underWay) {
      this.#asking.set(one.topic, [...(this.#asking.get(one.topic) ?? []), one]);
    }
    this.#underWay = [];
  }

  /** Has somebody look when the first topic is to be left. */
  #setTimer(): void {
    if (this.#timer !== undefined || this.#leaving.size === 0) return;
    const [at = 0] = this.#leaving.values();
    this.#timer = setTimeout(
      () => {
        this.#timer = undefined;
        this.#onWork();
      },
      Math.max(0, at - performance.now()) + 1,
    );
  }
}
