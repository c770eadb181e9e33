import type { LogEntry } from "../../hub/log.ts";
import { sizeOf } from "../../hub/log.ts";
import type { Measure } from "./draft.ts";
import type { Subjects } from "./names.ts";
import { decodeEntries, type Position, type TopicRecord } from "./record.ts";
import type { Session } from "./session.ts";
import type { StreamMessage } from "./stream-message.ts";
import { recordOf } from "./topics.ts";

/** How much of what was read is kept for those who come for what follows it. */
const MAX_KEPT_CHARS = 48 * 1024 * 1024;
/** From so many messages on it is worth a consumer on the server. */
const WORTH_A_CONSUMER = 4;
/** How many messages a consumer is asked for at once. */
const MAX_FETCHED = 256;

const NOTHING: Promise<StreamMessage[]> = /* @__PURE__ */ Promise.resolve([]);

/** A topic's message as it was read, whose entries are only made of it where they are wanted. */
export class ReadMessage {
  readonly record: TopicRecord;
  /** When the server took it. */
  readonly time: number;
  readonly chars: number;
  readonly #topic: string;
  readonly #text: string;
  #entries: LogEntry[] | undefined;

  constructor(topic: string, message: StreamMessage) {
    this.record = recordOf(message);
    this.time = message.time;
    this.#topic = topic;
    this.#text = message.text();
    this.chars = this.#text.length + 400;
  }

  get entries(): readonly LogEntry[] {
    this.#entries ??= decodeEntries(this.#topic, this.record.message, this.#text);
    return this.#entries;
  }

  /** Its events after a sequence, as trimming sees them. */
  measuresAfter(after: Position): Measure[] {
    return this.entries
      .filter(({ kind, sequence }) => kind === "event" && sequence > after)
      .map(({ sequence, event }) => ({ position: sequence, size: sizeOf(event), time: event.time }));
  }
}

/** Consecutive messages of one topic, from `from` on. */
interface Run {
  readonly from: number;
  readonly messages: readonly ReadMessage[];
  readonly chars: number;
}

/**
 * Reads topics' messages in order, and keeps some of them: pages are read one after the other, and what one has left
 * belongs to the next. Messages never change, so what is kept is right until it is trimmed, which the topic's record tells.
 */
export class Messages {
  /** Whom to ask. */
  source: Pick<Session, "get" | "link"> | undefined;
  readonly #subjects: Subjects;
  readonly #runs = new Map<string, Run>();
  #chars = 0;

  constructor(subjects: Subjects) {
    this.#subjects = subjects;
  }

  /**
   * Some of a topic's messages from the stream's sequence `from` on, at least one if there is one up to `last`, which is
   * the topic's newest. About `wanted` are of use.
   */
  async read(topic: string, from: number, last: number, wanted: number): Promise<readonly ReadMessage[]> {
    const kept = this.#kept(topic, from);
    if (kept.length > 0) return kept;
    const subject = this.#subjects.topic(topic);
    const span = last - from;
    // A few are quickly asked for by themselves, the first one first: it tells how far it is to the next.
    const isFew = wanted < WORTH_A_CONSUMER || span < WORTH_A_CONSUMER;
    const found = isFew ? await this.#one(subject, from) : await this.#many(subject, from, wanted);
    const messages = found.map((message) => new ReadMessage(topic, message));
    if (messages.length > 0) this.#keep(topic, from, messages);
    return messages;
  }

  async one(topic: string, message: number): Promise<ReadMessage | undefined> {
    const found = await this.source?.get({ seq: message });
    return found === undefined ? undefined : new ReadMessage(topic, found);
  }

  async #one(subject: string, from: number): Promise<StreamMessage[]> {
    const message = await this.source?.get({ seq: Math.max(1, from), next_by_subj: subject });
    return message === undefined ? [] : [message];
  }

  #many(subject: string, from: number, wanted: number): Promise<StreamMessage[]> {
    return this.source?.link.fetch({ subject, from, max: Math.min(MAX_FETCHED, wanted) }) ?? NOTHING;
  }

  #kept(topic: string, from: number): readonly ReadMessage[] {
    const run = this.#runs.get(topic);
    if (run === undefined || run.from > from) return [];
    const at = run.messages.findIndex(({ record }) => record.message >= from);
    return at === -1 ? [] : run.messages.slice(at);
  }

  #keep(topic: string, from: number, messages: readonly ReadMessage[]): void {
    const chars = messages.reduce((sum, message) => sum + message.chars, 0);
    this.#chars += chars - (this.#runs.get(topic)?.chars ?? 0);
    this.#runs.delete(topic);
    this.#runs.set(topic, { from, messages, chars });
    for (const [other, run] of this.#runs) {
      if (this.#chars <= MAX_KEPT_CHARS || other === topic) return;
      this.#runs.delete(other);
      this.#chars -= run.chars;
    }
  }
}
