import { sequenceOf } from "./names.ts";
import type { CarriedId } from "./record.ts";

/** Over this many of one topic the oldest are forgotten within their window, so that memory has a bound. */
const MAX_REMEMBERED = 100_000;
/** What one takes in a header besides itself, about. */
const FIELDS_CHARS = 60;

interface Remembered {
  readonly first: number;
  readonly count: number;
  readonly until: number;
}

/** The publishes of one topic that carried a `publishId`, within its window. */
export class TopicIds {
  readonly #known = new Map<string, Remembered>();
  /** Through when they were forgotten. */
  #expiredThrough = Number.NEGATIVE_INFINITY;

  find(id: string, now: number): readonly number[] | undefined {
    const found = this.#known.get(id);
    if (found === undefined || found.until <= now) return undefined;
    return Array.from({ length: found.count }, (_, index) => found.first + index);
  }

  /** Takes in what a message of `entries` entries carries. */
  add(message: number, entries: number, ids: readonly CarriedId[]): void {
    for (const { id, from, count, until, at } of ids) {
      // The clock may bring a message after its ids' time is over.
      if (until <= this.#expiredThrough) continue;
      const first = at ?? sequenceOf(message, entries, from);
      const found = this.#known.get(id);
      // What is read late must not come in the place of what came after it.
      if (found !== undefined && found.first >= first) continue;
      this.#known.delete(id);
      this.#known.set(id, { first, count, until });
      if (this.#known.size > MAX_REMEMBERED) this.#known.delete(this.#known.keys().next().value as string);
    }
  }

  /** Those that another message is to carry on, as many as have room in it, the newest ones. */
  carriedOn(now: number, maxChars: number): CarriedId[] {
    const carried: CarriedId[] = [];
    let chars = 0;
    for (const [id, { first, count, until }] of [...this.#known].reverse()) {
      if (until <= now) continue;
      // As many as it may become in a header.
      chars += 6 * id.length + FIELDS_CHARS;
      if (chars > maxChars) break;
      carried.push({ id, from: 0, count, until, at: first });
    }
    return carried.reverse();
  }

  /** Forgets what is over its window. Stops at the first that is not: windows are alike. */
  expire(now: number): void {
    this.#expiredThrough = Math.max(this.#expiredThrough, now);
    for (const [id, { until }] of this.#known) {
      if (until > now) return;
      this.#known.delete(id);
    }
  }
}
