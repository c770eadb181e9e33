import { parsePosition } from "../protocol/index.ts";
import type { Entry, Hello, Missed, Place } from "./share-wire.ts";

/** The newest entries that a tab took, for tabs that lack some of them. */
export interface History {
  add(entry: Entry): void;
  /** Forgets all: what follows comes after this place and this id. */
  reset(place: Place | undefined, id: string): void;
  /** All entries after a place; none where that is not known. */
  since(place: Place): readonly Entry[];
  /** What a tab lacks that asks this one, the leader. */
  missedBy(hello: Hello, leader: Leadership): Missed | undefined;
}

/** What a leader knows of itself. */
export interface Leadership {
  /** The place of its last entry. */
  readonly place: Place;
  /** Its last event ID now. */
  readonly id: string;
  /** Where its term began. */
  readonly from: Origin;
  /** Whether ids are positions of our own server. */
  readonly ordered: boolean;
}

/** What a leader's term follows on. */
export interface Origin {
  /** The last place that it knew. */
  readonly place: Place | undefined;
  /** The last event ID then, after which its connection began. */
  readonly id: string;
  /** Whether it took the lock from a leader that may have had a connection still. */
  readonly isStolen: boolean;
}

/** Bounds for each tab: how many entries, and how much text in them. */
const MAX_ENTRIES = 1024;
const MAX_CHARACTERS = 262_144;

/** Below 0 where `a` comes before `b`, above where after; NaN where they are no positions of our server. */
export function comparePositions(a: string, b: string): number {
  const one = parsePosition(a);
  const other = parsePosition(b);
  if (one === undefined || other === undefined) return Number.NaN;
  return one.epoch - other.epoch || one.sequence - other.sequence;
}

/** The last event ID that an entry brings, if it brings one. */
export function idOf(entry: Entry): string | undefined {
  if (entry.kind === "event") return entry.event.lastEventId;
  return entry.kind === "id" ? entry.id : undefined;
}

/** Below 0 where `a` comes before `b`, above where after. */
export function comparePlaces(a: Place, b: Place): number {
  return a.term - b.term || a.seq - b.seq;
}

export function isSamePlace(a: Place | undefined, b: Place | undefined): boolean {
  return a?.term === b?.term && a?.seq === b?.seq;
}

function sizeOf(entry: Entry): number {
  return entry.kind === "event" ? entry.event.data.length : 0;
}

/** Creates an empty history. */
export function createHistory(): History {
  let entries: Entry[] = [];
  let characters = 0;
  /** What was known before the first of them. */
  let before: { place: Place | undefined; id: string } = { place: undefined, id: "" };

  const trim = (): void => {
    if (entries.length <= MAX_ENTRIES && characters <= MAX_CHARACTERS) return;
    // A quarter at a time: to take them off one by one would move all the others each time.
    for (const entry of entries.splice(0, Math.ceil(entries.length / 4))) {
      characters -= sizeOf(entry);
      before = { place: entry, id: idOf(entry) ?? before.id };
    }
    trim();
  };
  /** How many entries, from the first on, a tab at this place has; -1 where that is not known. */
  const indexOfPlace = (place: Place | undefined): number => {
    if (place === undefined) return -1;
    if (isSamePlace(before.place, place)) return 0;
    return entries.findIndex((entry) => isSamePlace(entry, place)) + 1 || -1;
  };
  /** The same by a last event ID. Entries after the first with that id may be without one of their own. */
  const indexOfId = (id: string, ordered: boolean): number => {
    if (id === before.id) return 0;
    const index = entries.findIndex((entry) => idOf(entry) === id) + 1;
    if (index > 0) return index;
    if (!ordered || !(comparePositions(id, before.id) > 0)) return -1;
    const later = entries.findIndex((entry) => comparePositions(idOf(entry) ?? "", id) > 0);
    return later < 0 ? entries.length : later;
  };

  return {
    add(entry) {
      entries.push(entry);
      characters += sizeOf(entry);
      trim();
    },
    reset(place, id) {
      entries = [];
      characters = 0;
      before = { place, id };
    },
    since(place) {
      const index = indexOfPlace(place);
      return index < 0 ? [] : entries.slice(index);
    },
    missedBy({ place, id }, { place: own, id: ownId, from, ordered }) {
      const index = indexOfPlace(place);
      if (index >= 0) return { entries: entries.slice(index), joins: "next" };
      const isAhead = place !== undefined && place.term === from.place?.term && place.seq > from.place.seq;
      if (isAhead && id === from.id && before.place?.term !== own.term) {
        // No id came in what it has more, so that the server can't send that again: all of this term is new to it. But two
        // connections at a time brought the same, and nothing tells which, up to the first new id.
        const isNew = (entry: Entry): boolean => !from.isStolen || (idOf(entry) ?? id) !== id;
        const first = entries.findIndex((entry) => entry.term === own.term && isNew(entry));
        if (from.isStolen) return { entries: first < 0 ? [] : entries.slice(first), joins: "anew" };
        return { entries: entries.slice(first), joins: "next" };
      }
      const isBefore = place && before.place && comparePlaces(place, before.place) < 0;
      // Nor did one come in what is forgotten.
      if (isBefore && id === before.id) return { entries, joins: "anew" };
      // Who has seen nothing yet, or nothing that it could ask for, begins now.
      if (id === "") return { entries: [], joins: "anew" };
      if (ordered && comparePositions(id, ownId) > 0) return { entries: [], joins: "ahead" };
      const after = indexOfId(id, ordered);
      return after < 0 ? undefined : { entries: entries.slice(after), joins: "next" };
    },
  };
}
