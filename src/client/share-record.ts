import type { END_EVENT, GAP_EVENT, LIVE_EVENT } from "../protocol/index.ts";
import {
  comparePlaces,
  comparePositions,
  createHistory,
  idOf,
  isSamePlace,
  type Origin,
} from "./share-history.ts";
import type { Entry, Hello, Missed, News, Place, Welcome } from "./share-wire.ts";

// The types prove that these are the protocol's. Its module is one that streams need without sharing, see `runShared`.

/** What is said once and for all, whatever its id. */
const ANNOUNCEMENTS: readonly string[] = [
  "sse:gap" satisfies typeof GAP_EVENT,
  "sse:end" satisfies typeof END_EVENT,
];
/** Only hubs send it, and the ids of a hub are positions. */
const LIVE = "sse:live" satisfies typeof LIVE_EVENT;

/** How far a tab is in what leaders told, and the newest of it for others. */
export class TabRecord {
  readonly #history = createHistory();
  #place: Place | undefined;
  /** The same without what leaders told of themselves after it. */
  #newsPlace: Place | undefined;
  /** The last event ID that leaders told. */
  #id = "";
  /** Where this tab's own term began. */
  #from: Origin = { place: undefined, id: "", isStolen: false };
  /** Where this tab is ahead of what leaders told: the position up to which it has had what comes. */
  #hadUpTo = "";
  /** Whether ids are positions of our own server, which can be compared. */
  ordered = false;

  /** The last entry taken or told. */
  get place(): Place | undefined {
    return this.#place;
  }

  isAt(place: Place | undefined): boolean {
    return isSamePlace(place, this.#place);
  }

  /** Whether an entry is the one after the last. */
  isNext(entry: Entry): boolean {
    if (entry.kind === "lead") return this.isAt(entry.from);
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
    const id = idOf(entry);
    this.#place = { term: entry.term, seq: entry.seq };
    this.#id = id ?? this.#id;
    if (entry.kind !== "lead" && entry.kind !== "status") this.#newsPlace = this.#place;
    if (entry.kind === "event" && entry.event.event === LIVE) this.ordered = true;
    this.#history.add(entry);
    if (this.#hadUpTo === "" || id === undefined) return true;
    if (entry.kind === "event" && ANNOUNCEMENTS.includes(entry.event.event)) return true;
    if (comparePositions(id, this.#hadUpTo) <= 0) return false;
    this.#hadUpTo = "";
    return true;
  }

  /** Goes on from a leader's answer, whose entries are to be taken next. */
  join(asked: Hello, { joins, entries }: Missed, { place, id }: Welcome): void {
    const [first] = entries;
    this.#place = first ? { term: first.term, seq: first.seq - 1 } : place;
    this.#newsPlace = this.#place;
    if (joins === "ahead") this.#hadUpTo = asked.id;
    if (asked.place !== undefined && joins === "next") return;
    this.#id = first ? asked.id : id;
    this.#history.reset(this.#place, this.#id);
  }

  /**
   * Begins a term of this tab's own, after what it has taken.
   *
   * @param own The last event ID of this tab.
   * @returns What to tell the others.
   */
  begin(term: number, isStolen: boolean, own: string): News {
    const from = this.#place;
    if (from === undefined) {
      this.#id = own;
      this.#history.reset(undefined, own);
    }
    this.#from = { place: from, id: this.#id, isStolen };
    this.#place = { term: Math.max(term, (from?.term ?? 0) + 1), seq: -1 };
    return { kind: "lead", from };
  }

  /** Gives news the next place in this tab's own term. It is to be taken then. */
  next(news: News): Entry {
    const { term, seq } = this.#place as Place;
    return { ...news, term, seq: seq + 1 };
  }

  /** After what a connection has to go on, for this tab or those who follow it. */
  resumeAfter(own: string): string {
    return this.#hadUpTo === "" ? own : this.#id;
  }

  /** All that this tab has after a place; nothing where that is not known. */
  since(place: Place): readonly Entry[] {
    return this.#history.since(place);
  }

  /** What a tab lacks that asks this one, the leader, and where that leads to. */
  answer(hello: Hello): Pick<Welcome, "missed" | "place" | "id" | "ordered"> {
    const place = this.#place as Place;
    const { ordered } = this;
    const id = this.#id;
    return {
      place,
      id,
      ordered,
      missed: this.#history.missedBy(hello, { place, id, ordered, from: this.#from }),
    };
  }

  /** Its lead was taken: what it told of itself since then, others do not know. */
  lose(): void {
    this.#place = this.#newsPlace;
  }

  /** Forgets its place: what comes next does not follow on it. */
  leave(): void {
    this.#place = undefined;
    this.#newsPlace = undefined;
    this.#hadUpTo = "";
  }
}
