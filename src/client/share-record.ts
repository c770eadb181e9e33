import type { GAP_EVENT } from "../protocol/index.ts";
import {
  comparePlaces,
  comparePositions,
  createHistory,
  idOf,
  isSamePlace,
  type Origin,
} from "./share-history.ts";
import type { Entry, Hello, Missed, News, Place, Welcome } from "./share-wire.ts";

// The type proves that it is the protocol's. Its module is one that streams need without sharing, see `runShared`.
const GAP: typeof GAP_EVENT = "sse:gap";

/** How far a tab is in what leaders told, and the newest of it for others. */
export class TabRecord {
  readonly #history = createHistory();
  #place: Place | undefined;
  /** Where this tab's own term began. */
  #from: Origin = { place: undefined, id: "", isStolen: false };
  /** Where this tab was ahead of a leader: the position up to which it has had what comes. */
  #hadUpTo = "";
  /** Whether ids are positions of our own server, which can be compared. */
  ordered = false;

  /** The last entry taken or told. */
  get place(): Place | undefined {
    return this.#place;
  }

  /** Whether an entry is the one after the last. */
  isNext(entry: Entry): boolean {
    if (entry.kind === "lead") return isSamePlace(entry.from, this.#place);
    return entry.term === this.#place?.term && entry.seq === this.#place.seq + 1;
  }

  /** Whether an entry comes after the last, next or not. */
  isLater(entry: Entry): boolean {
    return this.#place === undefined || comparePlaces(entry, this.#place) > 0;
  }

  /** Whether this comes from a leader that was frozen or hung, and does not know yet that it leads no more. */
  isOutdated({ term }: Place): boolean {
    return term < (this.#place?.term ?? 0);
  }

  /** @returns Whether it is new to this tab. */
  take(entry: Entry): boolean {
    this.#place = { term: entry.term, seq: entry.seq };
    if (this.#isRepeated(entry)) return false;
    this.#history.add(entry);
    return true;
  }

  #isRepeated(entry: Entry): boolean {
    const id = idOf(entry);
    const isGap = entry.kind === "event" && entry.event.event === GAP;
    if (this.#hadUpTo === "" || id === undefined || isGap) return false;
    if (comparePositions(id, this.#hadUpTo) <= 0) return true;
    this.#hadUpTo = "";
    return false;
  }

  /**
   * Goes on from a leader's answer, whose entries are to be taken next.
   *
   * @param own The last event ID of this tab.
   */
  join(asked: Hello, { joins, entries }: Missed, { place }: Welcome, own: string): void {
    if (joins === "ahead") this.#hadUpTo = own;
    const [first] = entries;
    this.#place = first ? { term: first.term, seq: first.seq - 1 } : place;
    if (asked.place === undefined || joins === "anew") this.#history.reset(this.#place, own);
  }

  /** Begins a term of this tab's own, after what it has taken, and says so to the others. */
  begin(term: number, isStolen: boolean, id: string): Entry {
    const from = this.#place;
    this.#hadUpTo = "";
    this.#from = { place: from, id, isStolen };
    if (from === undefined) this.#history.reset(undefined, id);
    this.#place = { term: Math.max(term, (from?.term ?? 0) + 1), seq: -1 };
    return this.tell({ kind: "lead", from });
  }

  /** Gives news the next place in this tab's own term. */
  tell(news: News): Entry {
    const { term, seq } = this.#place as Place;
    const entry: Entry = { ...news, term, seq: seq + 1 };
    this.take(entry);
    return entry;
  }

  /** All that this tab has after a place; nothing where that is not known. */
  since(place: Place): readonly Entry[] {
    return this.#history.since(place);
  }

  /** What a tab lacks that asks this one, the leader, whose last event ID is `id`. */
  missedBy(hello: Hello, id: string): Missed | undefined {
    const place = this.#place as Place;
    return this.#history.missedBy(hello, { place, id, from: this.#from, ordered: this.ordered });
  }

  /** Forgets its place: what comes next does not follow on it. */
  leave(): void {
    this.#place = undefined;
    this.#hadUpTo = "";
  }
}
