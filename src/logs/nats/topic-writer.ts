import { nextTurn } from "../next-turn.ts";
import { type Attempt, answer, type Group } from "./attempt.ts";
import { batchOf, HEADERS_CHARS } from "./batch.ts";
import { type Decided, decide } from "./decide.ts";
import type { Draft } from "./draft.ts";
import { FAULT, failureOf, isFault, isPassing, tooLarge } from "./errors.ts";
import { messageOf } from "./names.ts";
import type { Pending } from "./pending.ts";
import {
  decodeRecord,
  encodeIds,
  encodeRecord,
  IDS_HEADER,
  newNonce,
  RECORD_HEADER,
  type TopicRecord,
} from "./record.ts";
import type { Session } from "./session.ts";
import { store } from "./store.ts";
import { type KnownTopic, recordOf } from "./topics.ts";
import type { WriterHost } from "./writer.ts";

/** So many of a topic's oldest events are kept in mind, for trimming. */
const MAX_MEASURES = 64;
/** How long to wait after an answer that says no more than that it did not work. */
const RETRY_MS = 50;

/** What one message is to be, and for whom. */
interface Step extends Decided {
  readonly group: Group;
}

/** Writes one topic's messages, each on the condition that the one before is still the newest. */
export class TopicWriter {
  /** Settles when nothing is under way. */
  idle: Promise<void> = Promise.resolve();
  readonly #name: string;
  readonly #host: WriterHost;
  readonly #onIdle: () => void;
  #queue: Pending[] = [];
  #open: Group | undefined;
  #isRunning = false;
  /** The next one goes alone: together they were too large. */
  #isAlone = false;

  constructor(name: string, host: WriterHost, onIdle: () => void) {
    this.#name = name;
    this.#host = host;
    this.#onIdle = onIdle;
  }

  add(pending: Pending): void {
    this.#queue.push(pending);
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.idle = new Promise((resolve) => {
      // What is appended in the same turn shares a message.
      nextTurn(() => void this.#run().finally(resolve));
    });
  }

  async #run(): Promise<void> {
    for (;;) {
      this.#queue = this.#queue.filter(({ settled }) => !settled);
      if (this.#open?.pending.every(({ settled }) => settled)) this.#open = undefined;
      if (this.#queue.length === 0 && this.#open === undefined) break;
      try {
        await this.#writeOne(await this.#host.ready(this.#deadline()));
      } catch (error) {
        if (this.#host.closed) break;
        await this.#onFailure(error);
      }
    }
    this.#isRunning = false;
    this.#onIdle();
  }

  /** Until when anybody waits here. */
  #deadline(): number {
    let last = 0;
    for (const { deadline } of this.#queue) last = Math.max(last, deadline);
    for (const { deadline } of this.#open?.pending ?? []) last = Math.max(last, deadline);
    return last;
  }

  /** Waits where another try may do better; gives up for those who wait where it can't. */
  async #onFailure(error: unknown): Promise<void> {
    if (isPassing(error)) {
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      return;
    }
    const failure = failureOf(error, `publish to "${this.#name}"`);
    for (const pending of this.#open?.pending ?? this.#queue) pending.reject(failure);
    this.#open = undefined;
  }

  async #writeOne(session: Session): Promise<void> {
    const topic = session.topics.topic(this.#name);
    if (this.#open !== undefined && (await this.#settleOpen(session, topic))) return;
    const group = this.#open ?? { pending: this.#nextBatch(session), attempts: [] };
    const horizonOf = () => this.#host.horizonIn(session);
    const { base, draft, decisions } = await decide(
      { session, topic, name: this.#name, horizonOf },
      group.pending,
    );
    if (draft.entries.length === 0) {
      this.#takeOut(group);
      answer(decisions, { message: 0, entries: 0 }, session.epochs);
      return;
    }
    await this.#store(session, topic, { group, base, draft, decisions });
  }

  #nextBatch({ maxPayload }: Session): readonly Pending[] {
    return this.#isAlone ? this.#queue.slice(0, 1) : batchOf(this.#queue, maxPayload);
  }

  async #store(session: Session, topic: KnownTopic, { group, base, draft, decisions }: Step): Promise<void> {
    const nonce = newNonce();
    const record = draft.record(nonce);
    const attempt: Attempt = { nonce, expected: record.previous, entries: draft.entries.length, decisions };
    const payload = encoder.encode(`[${draft.entries.join(",")}]`);
    const fields = {
      [RECORD_HEADER]: encodeRecord(record),
      [IDS_HEADER]: draft.ids.length > 0 ? encodeIds(draft.ids) : undefined,
    };
    if (payload.length + HEADERS_CHARS > session.maxPayload) {
      this.#isAlone = group.pending.length > 1;
      if (this.#isAlone) {
        this.#putBack(group);
        return;
      }
      this.#takeOut(group);
      for (const pending of group.pending) pending.reject(tooLarge(session.maxPayload));
      return;
    }
    this.#isAlone = false;
    this.#takeOut(group);
    this.#open = { pending: group.pending, attempts: [...group.attempts, attempt] };
    for (const pending of decisions.keys()) pending.isOpen = true;
    let message: number;
    try {
      const { subject } = topic;
      message = await store(session.link, { subject, payload, expected: record.previous, fields });
    } catch (error) {
      if (!isFault(error, FAULT.wrongLastSequence)) throw error;
      // Somebody else was quicker, or it was stored before without an answer.
      session.topics.forget(topic);
      if (group.attempts.length === 0) this.#putBack(group);
      else this.#open = group;
      return;
    }
    this.#open = undefined;
    this.#onStored(session, topic, { base, draft, attempt, fields, message });
  }

  #onStored(
    session: Session,
    topic: KnownTopic,
    {
      base,
      draft,
      attempt,
      fields,
      message,
    }: {
      readonly base: TopicRecord;
      readonly draft: Draft;
      readonly attempt: Attempt;
      readonly fields: { readonly [RECORD_HEADER]: string };
      readonly message: number;
    },
  ): void {
    session.onStored(message);
    const record = decodeRecord(fields[RECORD_HEADER], message) as TopicRecord;
    topic.learn(record);
    topic.ids?.add(message, record.count, draft.ids);
    topic.measures = draft.measuresAfter(message, MAX_MEASURES);
    topic.measuredAt = message;
    answer(attempt.decisions, { message, entries: attempt.entries }, session.epochs);
    const needed = record.events === 0 ? message : messageOf(record.first);
    if (base.message > 0 && needed > messageOf(base.first || 1)) {
      this.#host.onTrimmed({
        subject: topic.subject,
        before: needed,
        idsUntil: record.idsUntil,
        isErased: draft.hasErased,
      });
    }
  }

  /**
   * Finds out what became of messages that were sent without an answer: whichever was stored comes right after the one
   * that it expected to be the newest. Returns whether one was.
   */
  async #settleOpen(session: Session, topic: KnownTopic): Promise<boolean> {
    const open = this.#open as Group;
    const undecided: Attempt[] = [];
    for (const attempt of open.attempts) {
      const next = await session.get({ seq: attempt.expected + 1, next_by_subj: topic.subject });
      const record = next === undefined ? undefined : recordOf(next);
      if (next === undefined || record === undefined) {
        undecided.push(attempt);
      } else if (record.nonce === attempt.nonce) {
        session.onStored(next.sequence);
        topic.learn(record);
        this.#open = undefined;
        answer(attempt.decisions, { message: next.sequence, entries: attempt.entries }, session.epochs);
        return true;
      } else if (record.previous !== attempt.expected) {
        // What came right after is gone already.
        for (const pending of open.pending) pending.expire(this.#host.settings.timeoutMs, undefined);
      }
    }
    this.#open = { ...open, attempts: undecided };
    if (undecided.length === 0) this.#putBack(open);
    return undecided.length === 0;
  }

  /** They take their places before all others again. */
  #putBack({ pending }: Group): void {
    this.#open = undefined;
    const others = this.#queue.filter((one) => !pending.includes(one));
    this.#queue = [...pending, ...others];
  }

  #takeOut({ pending }: Group): void {
    this.#open = undefined;
    const taken = new Set(pending);
    this.#queue = this.#queue.filter((one) => !taken.has(one));
  }
}

const encoder = /* @__PURE__ */ new TextEncoder();
