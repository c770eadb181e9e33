import { isEverstreamError } from "../errors.ts";
import type { Hub, PublishedEvent, Retention } from "../hub/index.ts";
import { PROGRESS_EVENT } from "../protocol/index.ts";
import { PROGRESS_NOTE } from "./names.ts";

const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 1000;

export interface RunAppendsOptions {
  readonly hub: Hub;
  readonly topic: string;
  readonly retention: Retention;
  /** What is kept once the end is there. */
  readonly retentionAtEnd: () => Retention;
  /** The position of the last event of the topic: this writer's own, or that of the start. */
  readonly last: string;
  /** The position of the latest progress before, where there is one. */
  readonly lastProgress: string | undefined;
  /** Names this writer's publishes, unlike any other's. */
  readonly name: string;
  /** For how long a log that fails is tried again. */
  readonly patienceMs: number;
}

/**
 * A writer's appends to its run's topic, one after the other, each on the condition that nothing came after the one before.
 * One whose outcome is unknown is repeated under the same name.
 */
export class RunAppends {
  readonly #options: RunAppendsOptions;
  #last: string;
  #lastProgress: string | undefined;
  #count = 0;

  constructor(options: RunAppendsOptions) {
    this.#options = options;
    this.#last = options.last;
    this.#lastProgress = options.lastProgress;
  }

  /**
   * Appends events, and finishes the topic where that is wanted. What tells of progress must be the last of them.
   *
   * @throws EverstreamError as `hub.publish` does: `CONFLICT`, `TOPIC_FINISHED` where another has written.
   */
  async append(events: PublishedEvent[], finish: boolean): Promise<void> {
    this.#note(events);
    const ids = await this.#publish(events, finish);
    this.#last = ids.at(-1) as string;
    if (events.at(-1)?.type === PROGRESS_EVENT) this.#lastProgress = this.#last;
  }

  /** Notes with the batch's last event where the latest progress is, so that who joins need not look for it. */
  #note(events: PublishedEvent[]): void {
    const last = events.at(-1) as PublishedEvent;
    if (this.#lastProgress === undefined || last.type === PROGRESS_EVENT) return;
    events[events.length - 1] = { ...last, meta: { ...last.meta, [PROGRESS_NOTE]: this.#lastProgress } };
  }

  async #publish(events: readonly PublishedEvent[], finish: boolean): Promise<string[]> {
    const { hub, topic, retention, retentionAtEnd, name, patienceMs } = this.#options;
    const options = {
      expectLast: this.#last,
      publishId: `${name}:${++this.#count}`,
      finish,
      retention: finish ? retentionAtEnd() : retention,
      // A run's events are its own: the hub's `events` need not define them.
      unchecked: true,
    };
    const giveUpAt = performance.now() + patienceMs;
    for (let delayMs = FIRST_RETRY_MS; ; delayMs = Math.min(delayMs * 2, MAX_RETRY_MS)) {
      try {
        return await hub.publish(topic, events, options);
      } catch (error) {
        if (!isPassing(error) || performance.now() > giveUpAt) throw error;
        await new Promise((resolve) => setTimeout(resolve, delayMs));
      }
    }
  }
}

/** Whether the same append may succeed later. */
function isPassing(error: unknown): boolean {
  return isEverstreamError(error, "LOG_FAILED") || isEverstreamError(error, "NOT_REPLICATED");
}
