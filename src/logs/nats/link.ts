import {
  createInbox,
  errors,
  type Msg,
  type MsgHdrs,
  type NatsConnection,
  type Status,
  type Subscription,
} from "@nats-io/transport-node";
import { type ApiFault, JetStreamFault, NoAnswer, NobodyAnswers } from "./errors.ts";
import type { NatsSettings } from "./options.ts";
import { onStatus } from "./status.ts";
import {
  type ApiMessage,
  apiMessage,
  deliveryOf,
  directMessage,
  type StreamMessage,
  stampOf,
} from "./stream-message.ts";

/** Called with the answer, or with why there is none. */
interface Waiting {
  readonly since: number;
  /** What was asked on. */
  readonly subject: string;
  readonly resolve: (answer: Msg) => void;
  readonly reject: (error: Error) => void;
}

/** How long the server keeps a consumer that was left behind, in nanoseconds. */
const FETCH_CONSUMER_NS = 5e9;
const SWEEP_MS = 200;
/** What an answer may take, however much time there is: whom a stream's leader has died under is to ask the next one. */
const MAX_ANSWER_MS = 3000;
const NOT_FOUND = 404;
const NO_RESPONDERS = 503;

const decoder = /* @__PURE__ */ new TextDecoder();

/**
 * One connection to a server, for as long as it holds; there is no other way back than another link. Every request is
 * answered or rejected: also where the link stands and the answer is lost, as when the stream's leader dies behind it.
 */
export class Link {
  readonly connection: NatsConnection;
  /** Why the link is no longer used, once it is not. */
  failure: Error | undefined;
  /** Whether the stream is found to have several copies. */
  isCopied = false;
  /** How long an answer is waited for: shorter than what somebody waits for altogether, so that there is time for another try. */
  readonly answerMs: number;
  readonly stream: string;
  readonly #api: string;
  readonly #inbox: string;
  readonly #waiting = new Map<string, Waiting>();
  readonly #subscriptions = new Set<Subscription>();
  #lastRequest = 0;
  #onEnd: (() => void)[] = [];

  constructor(connection: NatsConnection, { name, apiPrefix, inboxPrefix, timeoutMs }: NatsSettings) {
    this.connection = connection;
    this.stream = name;
    this.#api = apiPrefix;
    this.#inbox = createInbox(inboxPrefix);
    this.answerMs = Math.min(timeoutMs / 2, MAX_ANSWER_MS);
    const timer = setInterval(() => this.#giveUp(), Math.min(this.answerMs, SWEEP_MS));
    this.onEnd(() => clearInterval(timer));
    this.onEnd(onStatus(connection, (status) => this.#onStatus(status)));
    this.subscribe(`${this.#inbox}.*`, (message) => this.#onReply(message));
  }

  get maxPayload(): number {
    return this.connection.info?.max_payload ?? 1024 * 1024;
  }

  /** A subject of this link alone, other for each call. */
  inbox(name: string): string {
    return `${this.#inbox}.${(++this.#lastRequest).toString(36)}.${name}.x`;
  }

  onEnd(listener: () => void): void {
    if (this.failure !== undefined) listener();
    else this.#onEnd.push(listener);
  }

  /** Ends the link: whoever waits for an answer is told. May be called twice. */
  end(failure: Error): void {
    if (this.failure !== undefined) return;
    this.failure = failure;
    for (const subscription of this.#subscriptions) if (!subscription.isClosed()) subscription.unsubscribe();
    this.#subscriptions.clear();
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(new NoAnswer(failure.message, { cause: failure }));
    for (const listener of this.#onEnd.splice(0)) listener();
  }

  /** Without `onRefused` a subscription that the server refuses, or takes back, ends the link. */
  subscribe(
    subject: string,
    take: (message: Msg) => void,
    onRefused: (error: Error) => void = (error) => this.end(error),
  ): Subscription {
    const subscription = this.connection.subscribe(subject, {
      callback: (error, message) => {
        if (this.failure !== undefined) return;
        if (error === null) {
          take(message);
          return;
        }
        this.#subscriptions.delete(subscription);
        onRefused(error);
      },
    });
    this.#subscriptions.add(subscription);
    return subscription;
  }

  unsubscribe(subscription: Subscription): void {
    this.#subscriptions.delete(subscription);
    if (!subscription.isClosed()) subscription.unsubscribe();
  }

  /** Publishes and waits for whoever answers. */
  request(subject: string, payload?: Uint8Array | string, hdrs?: MsgHdrs): Promise<Msg> {
    return new Promise((resolve, reject) => {
      if (this.failure !== undefined) {
        reject(new NoAnswer(this.failure.message, { cause: this.failure }));
        return;
      }
      const token = (++this.#lastRequest).toString(36);
      this.#waiting.set(token, { since: performance.now(), subject, resolve, reject });
      try {
        const options = { reply: `${this.#inbox}.${token}`, ...(hdrs && { headers: hdrs }) };
        this.connection.publish(subject, payload, options);
      } catch (error) {
        this.#waiting.delete(token);
        reject(error as Error);
      }
    });
  }

  /** Tells the server something that needs no answer. */
  tell(subject: string, payload?: string): void {
    if (this.failure === undefined) this.connection.publish(subject, payload);
  }

  /** Asks JetStream. `call` is what follows the API's prefix; `{stream}` in it is the log's. */
  async ask<Answer>(call: string, question?: unknown): Promise<Answer> {
    const payload = question === undefined ? undefined : JSON.stringify(question);
    const message = await this.request(this.apiSubject(call), payload);
    if (message.data.length === 0) throw new NoAnswer("JetStream sent an empty answer");
    const answer = JSON.parse(decoder.decode(message.data)) as Answer & { error?: ApiFault };
    if (answer.error !== undefined) throw new JetStreamFault(answer.error);
    return answer;
  }

  apiSubject(call: string): string {
    return `${this.#api}.${call.replace("{stream}", this.stream)}`;
  }

  /** One message, as the copy says that is asked: with several copies that may be one that is behind. */
  async get(question: GetQuestion): Promise<StreamMessage | undefined> {
    const message = await this.request(this.apiSubject("DIRECT.GET.{stream}"), JSON.stringify(question));
    if (message.headers?.code === NOT_FOUND) return undefined;
    if (message.headers?.hasError) throw new NoAnswer(message.headers.description);
    return directMessage(message);
  }

  /** One message, as the stream's leader says. */
  async getFromLeader(question: GetQuestion): Promise<StreamMessage | undefined> {
    try {
      const { message } = await this.ask<{ message: ApiMessage }>("STREAM.MSG.GET.{stream}", question);
      return apiMessage(message);
    } catch (error) {
      if (error instanceof JetStreamFault && error.fault.code === 404) return undefined;
      throw error;
    }
  }

  /**
   * Reads messages of a subject in order, as many as there are and at most `max`. Costs a consumer on the server, which
   * is made for it.
   */
  async fetch({ subject, headersOnly = false, max, ...start }: FetchQuestion): Promise<StreamMessage[]> {
    const from =
      "from" in start
        ? { deliver_policy: "by_start_sequence", opt_start_seq: Math.max(1, start.from) }
        : { deliver_policy: "by_start_time", opt_start_time: new Date(start.since).toISOString() };
    const { name, num_pending: pending } = await this.ask<{ name: string; num_pending: number }>(
      "CONSUMER.CREATE.{stream}",
      {
        stream_name: this.stream,
        config: {
          ...from,
          filter_subject: subject,
          ack_policy: "none",
          headers_only: headersOnly,
          mem_storage: true,
          num_replicas: 1,
          inactive_threshold: FETCH_CONSUMER_NS,
        },
      },
    );
    try {
      const messages = pending === 0 ? [] : await this.#pull(name, Math.min(max, pending));
      if (!this.isCopied) return messages;
      await this.#verify(messages.at(-1));
      // A copy that is behind begins with what it has next.
      return "from" in start ? messages.filter(({ sequence }) => sequence >= start.from) : messages;
    } finally {
      this.tell(this.apiSubject(`CONSUMER.DELETE.{stream}.${name}`));
    }
  }

  /** A consumer reads whichever copy: what it has brought is to be what the leader has. Where copies differ, they do from there on. */
  async #verify(last: StreamMessage | undefined): Promise<void> {
    if (last === undefined) return;
    const found = await this.getFromLeader({ seq: last.sequence });
    if (found === undefined || stampOf(found) !== stampOf(last)) {
      throw new NoAnswer("the stream's copies differ");
    }
  }

  #pull(consumer: string, batch: number): Promise<StreamMessage[]> {
    return new Promise((resolve, reject) => {
      const messages: StreamMessage[] = [];
      const inbox = this.inbox("pull");
      const token = `pull ${inbox}`;
      const subject = this.apiSubject(`CONSUMER.MSG.NEXT.{stream}.${consumer}`);
      const subscription = this.subscribe(inbox, (message) => {
        const delivery = deliveryOf(message);
        if (delivery !== undefined) messages.push(delivery.message);
        this.#waiting.delete(token);
        if (delivery !== undefined && messages.length < batch && delivery.pending > 0) {
          waitOn();
          return;
        }
        this.unsubscribe(subscription);
        resolve(messages);
      });
      // Not a request whose one reply is waited for, but ends with the link like one, or when nothing comes any more.
      const waitOn = (): void => {
        const giveUp = (error: Error): void => {
          this.unsubscribe(subscription);
          reject(error);
        };
        this.#waiting.set(token, {
          since: performance.now(),
          subject,
          resolve: () => undefined,
          reject: giveUp,
        });
      };
      waitOn();
      this.connection.publish(subject, JSON.stringify({ batch, no_wait: true }), { reply: inbox });
    });
  }

  /** Nobody answers what the server does not let through. Subscriptions are told of theirs by themselves. */
  #onStatus(status: Status): void {
    if (status.type !== "error" || !(status.error instanceof errors.PermissionViolationError)) return;
    const { operation, subject } = status.error;
    if (operation !== "publish") return;
    for (const [token, waiting] of this.#waiting) {
      if (waiting.subject !== subject) continue;
      this.#waiting.delete(token);
      waiting.reject(status.error);
    }
  }

  #giveUp(): void {
    const oldest = performance.now() - this.answerMs;
    for (const [token, { since, reject }] of this.#waiting) {
      if (since > oldest) return;
      this.#waiting.delete(token);
      reject(new NoAnswer("the server did not answer in time"));
    }
  }

  #onReply(message: Msg): void {
    const token = message.subject.slice(this.#inbox.length + 1);
    const waiting = this.#waiting.get(token);
    if (waiting === undefined) return;
    this.#waiting.delete(token);
    if (message.data.length === 0 && message.headers?.code === NO_RESPONDERS) {
      waiting.reject(new NobodyAnswers("nobody serves this at the moment"));
    } else {
      waiting.resolve(message);
    }
  }
}

/** Which message is asked for: by its sequence, the newest of a subject, or the first of a subject from a sequence on. */
export type GetQuestion =
  | { readonly seq: number }
  | { readonly last_by_subj: string }
  | { readonly seq: number; readonly next_by_subj: string };

/** Which messages are fetched: those of a subject from a sequence on, or from a time on. */
export type FetchQuestion = {
  readonly subject: string;
  readonly max: number;
  readonly headersOnly?: boolean;
} & ({ readonly from: number } | { readonly since: number });
