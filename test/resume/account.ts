// What was published, against what a client received: the two must agree to the event.
import { type GapData, type ParsedEvent, parsePosition } from "everstream/protocol";

/** A topic that a client was granted, and the position after which. */
export interface Grant {
  readonly topic: string;
  readonly notBefore?: string;
}

/** What came over one connection, or over all of a client's together. */
export class Received {
  readonly grants: readonly Grant[];
  /** The cursor that the client came with; empty for none. */
  readonly cursor: string;
  readonly events: { readonly id: string; readonly data: string }[] = [];
  readonly gaps: GapData[] = [];
  /** All of it in the order in which it came, gaps and checkpoints among it. */
  readonly blocks: ParsedEvent[] = [];
  /** The first position that the server named. */
  opened = "";
  /** The last id that the client has. */
  lastId: string;

  constructor(grants: readonly Grant[], cursor = "") {
    this.grants = grants;
    this.cursor = cursor;
    this.lastId = cursor;
  }

  take(block: ParsedEvent): void {
    const { event, data, lastEventId } = block;
    this.blocks.push(block);
    if (event === "sse:gap") {
      this.gaps.push(JSON.parse(data));
      return;
    }
    this.opened ||= lastEventId;
    this.lastId = lastEventId;
    if (event !== "sse:live") this.events.push({ id: lastEventId, data });
  }
}

interface Published {
  readonly sequence: number;
  readonly topic: string;
  readonly data: string;
}

/** Everything that a log has accepted. */
export class Account {
  readonly #published: Published[] = [];

  get size(): number {
    return this.#published.length;
  }

  add(topic: string, id: string, data: string): void {
    this.#published.push({ sequence: sequenceOf(id), topic, data });
  }

  /** What is wrong with what a client received, in words; nothing where it is complete, in order and without doubles. */
  faultsOf(received: Received): string[] {
    const { events, gaps, lastId } = received;
    const faults: string[] = [];
    const from = sequenceOf(received.cursor || received.opened);
    const through = sequenceOf(lastId);
    const floors = new Map(
      received.grants.map(({ topic, notBefore }) => [topic, sequenceOf(notBefore ?? "")]),
    );
    const missed = new Missed(gaps);
    let next = 0;
    for (const { sequence, topic, data } of this.#between(from, through)) {
      const isMine = sequence > (floors.get(topic) ?? Number.POSITIVE_INFINITY);
      const event = events[next];
      const isHere = event !== undefined && sequenceOf(event.id) === sequence;
      if (isHere) next++;
      const isMissed = missed.covers(topic, sequence);
      if (isHere && !isMine) faults.push(`got ${data} of ${topic}, to which it has no right`);
      else if (isHere && event.data !== data) faults.push(`got ${event.data} in place of ${data}`);
      else if (isHere && isMissed) faults.push(`got ${data} of ${topic} within a gap`);
      else if (!isHere && isMine && !isMissed) faults.push(`misses ${data} of ${topic}, without a gap`);
    }
    if (next < events.length)
      faults.push(`got ${JSON.stringify(events[next])} out of order, twice or out of nowhere`);
    return [...faults, ...missed.faults()];
  }

  /** Sorts what publishers that ran side by side have noted. */
  close(): void {
    this.#published.sort((a, b) => a.sequence - b.sequence);
  }

  #between(from: number, through: number): Published[] {
    return this.#published.slice(this.#indexAfter(from), this.#indexAfter(through));
  }

  #indexAfter(sequence: number): number {
    let low = 0;
    let high = this.#published.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#published[middle] as Published).sequence <= sequence) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** What gaps said that would be missing. Each has to be about something. */
class Missed {
  readonly #gaps: { readonly gap: GapData; readonly after: number; readonly next: number; used: boolean }[];

  constructor(gaps: readonly GapData[]) {
    this.#gaps = gaps.map((gap) => ({
      gap,
      after: sequenceOf(gap.after),
      next: sequenceOf(gap.next),
      used: false,
    }));
  }

  covers(topic: string, sequence: number): boolean {
    let covered = false;
    for (const each of this.#gaps) {
      if (each.gap.topic !== undefined && each.gap.topic !== topic) continue;
      if (sequence <= each.after || sequence >= each.next) continue;
      each.used = true;
      covered = true;
    }
    return covered;
  }

  faults(): string[] {
    const wrong = this.#gaps.filter(({ gap }) => gap.reason !== "trimmed");
    return wrong.map(({ gap }) => `a gap that should not be: ${JSON.stringify(gap)}`);
  }
}

function sequenceOf(id: string): number {
  return id === "" ? 0 : (parsePosition(id)?.sequence ?? Number.NaN);
}
