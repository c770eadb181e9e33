import type { GapData } from "../protocol/index.ts";
import type { Audience } from "./audience.ts";
import { Floors, NO_FLOORS } from "./floors.ts";
import type { Live } from "./live.ts";
import type { Page, TopicState } from "./log.ts";
import type { From } from "./options.ts";
import type { ReaderStart } from "./recipient.ts";
import type { NotBefore } from "./rights.ts";

/** Where a reader begins, and what it has to be told first. */
export interface Start extends ReaderStart {
  readonly gaps: readonly GapData[];
  /** All topics are finished, and the cursor is at their end. */
  readonly isOver: boolean;
}

/** What may not be seen. */
interface Closed {
  readonly floors: Floors;
  /** Topics whose floor is of a log that is gone, and where that leaves them. */
  readonly unknown: readonly string[];
}

const ALL_OPEN: Closed = /* @__PURE__ */ Object.freeze({ floors: NO_FLOORS, unknown: [] });

/**
 * Where a reader begins that came with the cursor `after`, or, without one, at `from`. At once, where nothing has to be
 * asked of the log that others have not just asked: everybody may come at the same time.
 */
export function findStart(
  live: Live,
  audience: Audience,
  after: string | undefined,
  from: From = "now",
  notBefore: readonly NotBefore[] = [],
): Start | Promise<Start> {
  return notBefore.length > 0
    ? startWithRights(live, audience, after, from, notBefore)
    : startWithin(live, audience, after, from, ALL_OPEN);
}

async function startWithRights(
  live: Live,
  audience: Audience,
  after: string | undefined,
  from: From,
  notBefore: readonly NotBefore[],
): Promise<Start> {
  const closed = await closedThrough(live, audience, notBefore);
  return startWithin(live, audience, after, from, closed);
}

/** Where a reader begins that wants no past: at once, so that nothing published from now on is missed. */
export function startNow(audience: Audience): ReaderStart {
  return { cursor: audience.now };
}

function startWithin(
  live: Live,
  audience: Audience,
  after: string | undefined,
  from: From,
  closed: Closed,
): Start | Promise<Start> {
  const { floors } = closed;
  if (after === undefined) return firstStart(live, audience, from, floors);
  const cursor = live.epochs.resolve(after);
  if (typeof cursor !== "number") return startAnew(live, audience, { from, after, floors }, cursor);
  const states = live.pages.states(audience, live.through);
  if (!(states instanceof Promise) && cursor <= states.head) {
    return startAfter(audience, cursor, states, closed);
  }
  return startOnceKnown(live, audience, { from, after, cursor }, states, closed);
}

async function startOnceKnown(
  live: Live,
  audience: Audience,
  { from, after, cursor }: { from: From; after: string; cursor: number },
  states: Page | Promise<Page>,
  closed: Closed,
): Promise<Start> {
  let page = await states;
  // Somebody else had asked, and what the client has seen may have come since.
  if (cursor > page.head) page = await readStates(live, audience, cursor);
  if (cursor <= page.head) return startAfter(audience, cursor, page, closed);
  // Nobody can have seen what is yet to come.
  return startAnew(live, audience, { from, after, floors: closed.floors }, "invalid");
}

function startAfter(audience: Audience, cursor: number, page: Page, closed: Closed): Start {
  const { floors } = closed;
  // What a client may not see is as good as seen.
  const topics = audience.topics.map((topic, index) => ({
    topic,
    state: page.topics[index] as TopicState,
    seen: Math.max(cursor, floors.of(topic)),
  }));
  const lost = topics.filter(({ state, seen }) => state.trimmedThrough > seen);
  const gaps = lost.map(({ topic, state, seen }) => audience.gapOf(topic, state, seen, page.head));
  return {
    // Where every topic has lost something, what was lost of all of them is behind the client.
    cursor: Math.min(...topics.map(({ state, seen }) => Math.max(state.trimmedThrough, seen))),
    floors: passedAfter(audience, page.topics, cursor, floors),
    gaps: [...unknownGaps(audience, closed, cursor), ...gaps],
    isOver: topics.every(({ state: { finishedAt }, seen }) => finishedAt > 0 && finishedAt <= seen),
  };
}

function firstStart(live: Live, audience: Audience, from: From, floors: Floors): Start | Promise<Start> {
  if (from !== "now") return startInPast(live, audience, from, floors);
  const { cursor } = startNow(audience);
  return { cursor, floors: passedAfter(audience, [], cursor, floors), gaps: [], isOver: false };
}

async function startInPast(
  live: Live,
  audience: Audience,
  from: Exclude<From, "now">,
  floors: Floors,
): Promise<Start> {
  const last = from === "start" ? Number.MAX_SAFE_INTEGER : from.last;
  const { after, topics } = await readStates(live, audience, { last });
  // What is closed of all topics need not be read.
  const cursor = Math.max(after, Math.min(...audience.topics.map((topic) => floors.of(topic))));
  return { cursor, floors: passedAfter(audience, topics, cursor, floors), gaps: [], isOver: false };
}

/** A cursor that means nothing here: says so, and begins as one without. */
async function startAnew(
  live: Live,
  audience: Audience,
  { from, after, floors }: { from: From; after: string; floors: Floors },
  reason: "invalid" | "epoch",
): Promise<Start> {
  const start = await firstStart(live, audience, from, floors);
  return { ...start, gaps: [{ reason, after, next: live.epochs.format(start.cursor) }] };
}

/** What went by after the cursor without the reader having any claim to it, or having been told of it. */
function passedAfter(
  { topics }: Audience,
  states: readonly TopicState[],
  cursor: number,
  floors: Floors,
): Floors {
  const passed = topics
    .map((topic, index) => [topic, Math.max(states[index]?.trimmedThrough ?? 0, floors.of(topic))] as const)
    .filter(([, through]) => through > cursor);
  return passed.length > 0 ? new Floors(new Map(passed)) : NO_FLOORS;
}

/**
 * Through where the topics are closed. A position of a log that is gone, or of one yet to come, stands in no order with
 * what is here: all that is kept may have been before it, so that none of it is shown.
 */
async function closedThrough(
  live: Live,
  audience: Audience,
  notBefore: readonly NotBefore[],
): Promise<Closed> {
  const { head } = await readStates(live, audience, 0);
  const floors = new Map<string, number>();
  const unknown: string[] = [];
  for (const { topic, position } of notBefore) {
    const sequence = live.epochs.resolve(position);
    const isKnown = typeof sequence === "number" && sequence <= head;
    if (!isKnown) unknown.push(topic);
    floors.set(topic, Math.max(floors.get(topic) ?? 0, isKnown ? sequence : head));
  }
  return { floors: new Floors(floors), unknown };
}

/** Some of what the client is not shown it may have had a right to. */
function unknownGaps(audience: Audience, { floors, unknown }: Closed, cursor: number): GapData[] {
  return unknown
    .filter((topic) => floors.of(topic) > cursor)
    .map((topic) => ({
      topic,
      reason: "epoch",
      after: audience.format(cursor),
      next: audience.format(floors.of(topic)),
    }));
}

function readStates(live: Live, { topics }: Audience, after: number | { last: number }): Promise<Page> {
  return live.connection.read({ topics, after, maxEntries: 0, maxBytes: 0 });
}
