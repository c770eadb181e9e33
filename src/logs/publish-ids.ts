/** The results of publishes by their `publishId`, for as long as a retry of one may come. */

/** Over this many the oldest are forgotten within their window, so that memory has a bound. */
const MAX_REMEMBERED = 100_000;

interface Remembered {
  readonly sequences: readonly number[];
  readonly until: number;
}

export class PublishIds {
  readonly #results = new Map<string, Remembered>();

  get(topic: string, publishId: string, now: number): readonly number[] | undefined {
    const found = this.#results.get(keyOf(topic, publishId));
    return found !== undefined && found.until > now ? found.sequences : undefined;
  }

  set(topic: string, publishId: string, sequences: readonly number[], now: number, windowMs: number): void {
    const key = keyOf(topic, publishId);
    // Set anew, so that the map's order stays that of time.
    this.#results.delete(key);
    this.#results.set(key, { sequences, until: now + windowMs });
    if (this.#results.size > MAX_REMEMBERED)
      this.#results.delete(this.#results.keys().next().value as string);
  }

  /** Forgets what is over its window. Stops at the first that is not: windows are alike. */
  expire(now: number): void {
    for (const [key, { until }] of this.#results) {
      if (until > now) return;
      this.#results.delete(key);
    }
  }
}

function keyOf(topic: string, publishId: string): string {
  return `${topic.length}:${topic}${publishId}`;
}
