import type { EverstreamError } from "../../errors.ts";
import type { AppendRequest, AppendResult, Epoch } from "../../hub/log.ts";
import type { Trimmed } from "./collector.ts";
import { logFailed, tooLarge } from "./errors.ts";
import type { NatsSettings } from "./options.ts";
import { Pending } from "./pending.ts";
import type { Session } from "./session.ts";
import { TopicWriter } from "./topic-writer.ts";

/** What writers need of the connection they write over. */
export interface WriterHost {
  readonly settings: NatsSettings;
  readonly closed: boolean;
  /** The epochs that the hub knows of. */
  readonly epochs: readonly Epoch[];
  /** Why there is no session, if there is none. */
  readonly lastFailure: unknown;
  /** The time through which events are over their age. */
  horizonIn(session: Session): number;
  /**
   * Resolves when the server can be asked; rejects once the connection is closed, and with {@link NoAnswer} at the deadline,
   * by `performance.now()`.
   */
  ready(deadline: number): Promise<Session>;
  readonly session: Session | undefined;
  /** A topic's messages before this one are no longer needed, or soon. */
  onTrimmed(trimmed: Trimmed): void;
}

/** How often it is looked for appends whose time is over. */
const SWEEP_MS = 50;

/** Takes appends: one topic's go one message after the other, topics are independent of each other. */
export class Writer {
  readonly #host: WriterHost;
  readonly #topics = new Map<string, TopicWriter>();
  /** In the order of their deadlines, since all have the same time. */
  readonly #pending = new Set<Pending>();
  #chars = 0;
  #sweep: ReturnType<typeof setInterval> | undefined;

  constructor(host: WriterHost) {
    this.#host = host;
  }

  append(request: AppendRequest): Promise<AppendResult> {
    const { settings, session } = this.#host;
    return new Promise((resolve, reject) => {
      if (!settings.waits && session === undefined) {
        reject(
          logFailed("There is no connection to the NATS server: nothing was stored.", this.#host.lastFailure),
        );
        return;
      }
      const deadline = performance.now() + settings.timeoutMs;
      const epoch = this.#host.epochs.at(-1) as Epoch;
      const onSettled = (pending: Pending): void => this.#onSettled(pending);
      const pending = new Pending(request, epoch, deadline, { resolve, reject, onSettled });
      const refusal = this.#refusal(pending, session?.maxPayload);
      if (refusal !== undefined) {
        reject(refusal);
        return;
      }
      this.#pending.add(pending);
      this.#chars += pending.chars;
      this.#sweep ??= setInterval(() => this.#expire(), SWEEP_MS);
      this.#topicWriter(request.topic).add(pending);
    });
  }

  close(error: EverstreamError): void {
    for (const pending of [...this.#pending]) pending.reject(error);
  }

  /** There is no connection any more, and nothing is to wait for one. */
  onOffline(): void {
    if (this.#host.settings.waits) return;
    for (const pending of [...this.#pending]) pending.lose(this.#host.lastFailure);
  }

  /** Resolves when nothing is under way any more. */
  async idle(): Promise<void> {
    await Promise.all([...this.#topics.values()].map((topic) => topic.idle));
  }

  #refusal({ chars }: Pending, maxPayload: number | undefined): EverstreamError | undefined {
    const { maxPending, maxPendingBytes } = this.#host.settings;
    if (maxPayload !== undefined && chars > maxPayload) return tooLarge(maxPayload);
    if (this.#pending.size < maxPending && (this.#chars + chars <= maxPendingBytes || this.#chars === 0)) {
      return undefined;
    }
    return logFailed(
      `${this.#pending.size} publishes wait for the NATS server already, as many as \`maxPending\` and \`maxPendingBytes\` ` +
        "allow: nothing was stored.",
      this.#host.lastFailure,
    );
  }

  #topicWriter(name: string): TopicWriter {
    let topic = this.#topics.get(name);
    if (topic === undefined) {
      topic = new TopicWriter(name, this.#host, () => this.#topics.delete(name));
      this.#topics.set(name, topic);
    }
    return topic;
  }

  #onSettled(pending: Pending): void {
    this.#pending.delete(pending);
    this.#chars -= pending.chars;
    if (this.#pending.size > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  #expire(): void {
    const now = performance.now();
    for (const pending of this.#pending) {
      if (pending.deadline > now) return;
      pending.expire(this.#host.settings.timeoutMs, this.#host.lastFailure);
    }
  }
}
