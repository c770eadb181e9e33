import type { Page, TopicState } from "./log.ts";

/** When a topic was finished or erased, as sequences, or 0. */
interface TopicEnd {
  finished: number;
  erased: number;
}

/** Which topics of an audience are finished and which were erased, by the word of the log and of the feed. */
export class Ends {
  /** The sequence of the last mark by which all topics are finished, or 0. */
  finishedAt = 0;
  readonly #topics: readonly string[];
  readonly #ends = new Map<string, TopicEnd>();
  #lastErased = 0;

  constructor(topics: readonly string[]) {
    this.#topics = topics;
  }

  /** What the log says may be older than what the feed has told. Returns whether it is news. */
  finish(topic: string, sequence: number): boolean {
    const end = this.#of(topic);
    if (sequence <= Math.max(end.finished, end.erased)) return false;
    end.finished = sequence;
    this.#count();
    return true;
  }

  /** The topic's events are gone, its finish mark among them. */
  erase(topic: string, sequence: number): void {
    const end = this.#of(topic);
    end.erased = sequence;
    end.finished = 0;
    this.#lastErased = sequence;
    this.#count();
  }

  /** A page's states; of a topic that was erased after the page was read, what a later page would say. */
  statesIn({ topics, head }: Page): readonly TopicState[] {
    if (this.#lastErased <= head) return topics;
    return topics.map((state, index) => {
      const erased = this.#ends.get(this.#topics[index] as string)?.erased ?? 0;
      if (erased <= head) return state;
      return { first: 0, last: erased, trimmedThrough: erased, deleted: true, finishedAt: 0 };
    });
  }

  #of(topic: string): TopicEnd {
    let end = this.#ends.get(topic);
    if (end === undefined) {
      end = { finished: 0, erased: 0 };
      this.#ends.set(topic, end);
    }
    return end;
  }

  #count(): void {
    let last = 0;
    let finished = 0;
    for (const end of this.#ends.values()) {
      if (end.finished > 0) finished++;
      last = Math.max(last, end.finished);
    }
    this.finishedAt = finished === this.#topics.length ? last : 0;
  }
}
