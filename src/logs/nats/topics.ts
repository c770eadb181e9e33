import type { Measures } from "./draft.ts";
import { unsuitable } from "./errors.ts";
import { TopicIds } from "./ids.ts";
import type { Subjects } from "./names.ts";
import { decodeIds, decodeRecord, IDS_HEADER, RECORD_HEADER, type TopicRecord, UNKNOWN } from "./record.ts";
import type { StreamMessage } from "./stream-message.ts";

/** How many topics are kept in mind. Others are asked for again. */
const MAX_KNOWN = 20_000;

const NO_MEASURES: Measures = Object.freeze({ known: [], complete: false });

/** What is known here of a topic. As long as the clock runs, it is what the topic is at the clock's moment, or later. */
export class KnownTopic {
  readonly subject: string;
  record: TopicRecord | undefined;
  /** Its ids, once they were needed. */
  ids: TopicIds | undefined;
  /** Settles when `ids` are all there. */
  idsLoading: Promise<void> | undefined;
  /** Its oldest events, as they were after `measuredAt`. */
  measures: Measures = NO_MEASURES;
  measuredAt = 0;
  /** Where the events begin that are not over their age, by a reader's account, and the message that it was found after. */
  aged: { readonly at: number; readonly horizon: number; readonly record: TopicRecord } | undefined;

  constructor(subject: string) {
    this.subject = subject;
  }

  /** Takes in a message's record, if it is newer than what is known. */
  learn(record: TopicRecord): void {
    if (this.record === undefined || record.message > this.record.message) this.record = record;
  }

  /** What is known of its oldest events now. */
  currentMeasures(record: TopicRecord): Measures {
    if (record.events === 0) return { known: [], complete: true };
    const { known, complete } = this.measures;
    const isSame = this.measuredAt === record.message;
    const kept =
      known[0] !== undefined && known[0].position < record.first
        ? known.filter(({ position }) => position >= record.first)
        : known;
    // A prefix stays one; whether it is all has to be found out anew.
    if (kept[0]?.position !== record.first)
      return isSame && complete ? { known: kept, complete } : NO_MEASURES;
    return { known: kept, complete: complete && isSame };
  }
}

/**
 * The topics that this node has to do with. A topic is asked for once; from then on the clock, which brings the headers
 * of all messages, keeps it up to date.
 */
export class KnownTopics {
  readonly #subjects: Subjects;
  /** Whom to ask. */
  source: { last(subject: string): Promise<StreamMessage | undefined> } | undefined;
  readonly #topics = new Map<string, KnownTopic>();
  readonly #loading = new Map<KnownTopic, Promise<void>>();

  constructor(subjects: Subjects) {
    this.#subjects = subjects;
  }

  /** The topic of this name. It has a record, or {@link load} gets it. */
  topic(name: string): KnownTopic {
    const subject = this.#subjects.topic(name);
    let topic = this.#topics.get(subject);
    if (topic === undefined) {
      topic = new KnownTopic(subject);
      this.#trim();
    } else {
      this.#topics.delete(subject);
    }
    this.#topics.set(subject, topic);
    return topic;
  }

  load(topic: KnownTopic): Promise<void> {
    let loading = this.#loading.get(topic);
    if (loading === undefined) {
      loading = this.#load(topic).finally(() => this.#loading.delete(topic));
      this.#loading.set(topic, loading);
    }
    return loading;
  }

  /** What is known of a topic was wrong. */
  forget(topic: KnownTopic): void {
    this.#topics.delete(topic.subject);
  }

  /** Forgets the ids that are over their window. */
  expireIds(now: number): void {
    for (const { ids } of this.#topics.values()) ids?.expire(now);
  }

  forgetToken(token: string): void {
    if (token !== "") this.#topics.delete(this.#subjects.topicOf(token));
  }

  /** Called with each message of the clock. Answers whether it follows what is known of its topic. */
  onMessage(message: StreamMessage): boolean {
    const topic = this.#topics.get(message.subject);
    if (topic === undefined) return true;
    const record = recordOf(message);
    const before = topic.record?.message ?? 0;
    topic.learn(record);
    if (topic.ids !== undefined) learnIds(topic.ids, message, record);
    // One that is forgotten begins anew, without anything before it.
    return before === 0 || record.message <= before || [before, 0].includes(record.previous);
  }

  async #load(topic: KnownTopic): Promise<void> {
    const message = await this.source?.last(topic.subject);
    if (message === undefined) {
      topic.record ??= UNKNOWN;
      // What is only beginning has no ids.
      if (topic.record === UNKNOWN) topic.ids ??= new TopicIds();
      return;
    }
    topic.learn(recordOf(message));
  }

  #trim(): void {
    if (this.#topics.size < MAX_KNOWN) return;
    for (const [subject, topic] of this.#topics) {
      if (this.#loading.has(topic)) continue;
      this.#topics.delete(subject);
      return;
    }
  }
}

/** @throws EverstreamError `LOG_UNSUITABLE`: somebody else has written into the stream, or a later version of this. */
export function recordOf(message: StreamMessage): TopicRecord {
  const record = decodeRecord(message.header(RECORD_HEADER), message.sequence);
  if (record !== undefined) return record;
  throw unsuitable(
    `The NATS log's stream holds a message that this version of everstream can't read (${message.sequence}, on ` +
      `"${message.subject}"): nobody else may publish to the stream's subjects.`,
  );
}

export function learnIds(ids: TopicIds, message: StreamMessage, record: TopicRecord): void {
  const text = message.header(IDS_HEADER);
  if (text !== "") ids.add(message.sequence, record.count, decodeIds(text));
}
