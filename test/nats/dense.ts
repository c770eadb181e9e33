// A log whose sequences rise by one, over one whose do not: so that its answers can be held against memory's.
import type {
  AppendRequest,
  AppendResult,
  EventLog,
  LogConnection,
  Page,
  ReadQuery,
  TopicState,
} from "everstream";

/** Where the sequences of everything that was appended through here stand, in order. */
export class Numbers {
  readonly #sequences: number[] = [];

  add(sequences: readonly number[]): void {
    this.#sequences.push(...sequences.filter((sequence) => sequence > (this.#sequences.at(-1) ?? 0)));
  }

  /** How many entries stand at or before a sequence. */
  dense(sequence: number): number {
    let low = 0;
    for (let high = this.#sequences.length; low < high; ) {
      const middle = (low + high) >> 1;
      if ((this.#sequences[middle] as number) <= sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  sparse(number: number): number {
    if (number <= 0) return number;
    const last = this.#sequences.at(-1) ?? 0;
    return this.#sequences[number - 1] ?? last + (number - this.#sequences.length) * 10_000;
  }
}

export function denseLog(log: EventLog, numbers: Numbers): EventLog {
  return { open: async (feed) => new DenseConnection(await log.open(feed), numbers) };
}

/** Appends one after the other: what is appended at once may be stored in any order of topics. */
class DenseConnection implements LogConnection {
  readonly #far: LogConnection;
  readonly #numbers: Numbers;
  #last: Promise<unknown> = Promise.resolve();

  constructor(far: LogConnection, numbers: Numbers) {
    this.#far = far;
    this.#numbers = numbers;
  }

  get epochs() {
    return this.#far.epochs;
  }

  get head() {
    return this.#numbers.dense(this.#far.head);
  }

  append(request: AppendRequest): Promise<AppendResult> {
    const appending = this.#last.then(() => this.#append(request));
    this.#last = appending.catch(() => undefined);
    return appending;
  }

  async read(query: ReadQuery): Promise<Page> {
    const numbers = this.#numbers;
    const after = typeof query.after === "number" ? numbers.sparse(query.after) : query.after;
    const page = await this.#far.read({ ...query, after });
    // Over the head nothing has a number.
    const over = typeof query.after === "number" && numbers.dense(after as number) < query.after;
    const at = (sequence: number): number =>
      over && sequence === after ? (query.after as number) : numbers.dense(sequence);
    return {
      after: at(page.after),
      through: at(page.through),
      head: numbers.dense(page.head),
      entries: page.entries.map((entry) => ({
        sequence: numbers.dense(entry.sequence),
        topic: entry.topic,
        kind: entry.kind,
        event: entry.event,
      })),
      topics: page.topics.map((state) => this.#stateOf(state)),
    };
  }

  follow(topic: string) {
    return this.#far.follow(topic);
  }

  unfollow(topic: string): void {
    this.#far.unfollow(topic);
  }

  expire(now: number): Promise<void> {
    return this.#far.expire(now);
  }

  close(): Promise<void> {
    return this.#far.close();
  }

  async #append(request: AppendRequest): Promise<AppendResult> {
    const { expectLast } = request;
    const expected = typeof expectLast === "number" ? this.#numbers.sparse(expectLast) : expectLast;
    const result = await this.#far.append({ ...request, expectLast: expected });
    if (!result.accepted) return result;
    this.#numbers.add(result.sequences);
    return { ...result, sequences: result.sequences.map((sequence) => this.#numbers.dense(sequence)) };
  }

  #stateOf({ first, last, trimmedThrough, deleted, finishedAt }: TopicState): TopicState {
    const dense = (sequence: number): number => this.#numbers.dense(sequence);
    return {
      first: dense(first),
      last: dense(last),
      trimmedThrough: dense(trimmedThrough),
      deleted,
      finishedAt: dense(finishedAt),
    };
  }
}
