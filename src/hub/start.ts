import type { GapData } from "../protocol/index.ts";
import type { Audience } from "./audience.ts";
import type { Live } from "./live.ts";
import type { Page, TopicState } from "./log.ts";
import type { From } from "./options.ts";
import type { ReaderStart } from "./reader.ts";

/** Where a reader begins, and what it has to be told first. */
export interface Start extends ReaderStart {
  readonly gaps: readonly GapData[];
  /** All topics are finished, and the cursor is at their end. */
  readonly isOver: boolean;
}

/** Where a reader begins that came with the cursor `after`, or, without one, at `from`. */
export async function findStart(
  live: Live,
  audience: Audience,
  after: string | undefined,
  from: From = "now",
): Promise<Start> {
  if (after === undefined) return firstStart(live, audience, from);
  const cursor = live.epochs.resolve(after);
  if (typeof cursor !== "number") return startAnew(live, audience, from, after, cursor);
  const page = await readStates(live, audience, cursor);
  // Nobody can have seen what is yet to come.
  if (cursor > page.head) return startAnew(live, audience, from, after, "invalid");
  const lost = audience.topics
    .map((topic, index) => ({ topic, state: page.topics[index] as TopicState }))
    .filter(({ state }) => state.trimmedThrough > cursor);
  return {
    // Where every topic has lost something, what was lost of all of them is behind the client.
    cursor: Math.min(...page.topics.map((state) => Math.max(state.trimmedThrough, cursor))),
    told: trimmedAfter(audience, page.topics, cursor),
    gaps: lost.map(({ topic, state }) => audience.gapOf(topic, state, cursor, page.head)),
    isOver: page.topics.every(({ finishedAt }) => finishedAt > 0 && finishedAt <= cursor),
  };
}

/** Where a reader begins that wants no past: at once, so that nothing published from now on is missed. */
export function startNow(audience: Audience): ReaderStart {
  return { cursor: audience.now };
}

async function firstStart(live: Live, audience: Audience, from: From): Promise<Start> {
  if (from === "now") return { ...startNow(audience), gaps: [], isOver: false };
  const last = from === "start" ? Number.MAX_SAFE_INTEGER : from.last;
  const { after: cursor, topics } = await readStates(live, audience, { last });
  return { cursor, told: trimmedAfter(audience, topics, cursor), gaps: [], isOver: false };
}

/** A cursor that means nothing here: says so, and begins as one without. */
async function startAnew(
  live: Live,
  audience: Audience,
  from: From,
  after: string,
  reason: "invalid" | "epoch",
): Promise<Start> {
  const start = await firstStart(live, audience, from);
  return { ...start, gaps: [{ reason, after, next: live.epochs.format(start.cursor) }] };
}

/** What was trimmed after the cursor without the reader having any claim to it, or having been told of it. */
function trimmedAfter(
  { topics }: Audience,
  states: readonly TopicState[],
  cursor: number,
): Map<string, number> | undefined {
  let told: Map<string, number> | undefined;
  states.forEach(({ trimmedThrough }, index) => {
    if (trimmedThrough <= cursor) return;
    told ??= new Map();
    told.set(topics[index] as string, trimmedThrough);
  });
  return told;
}

function readStates(live: Live, { topics }: Audience, after: number | { last: number }): Promise<Page> {
  return live.connection.read({ topics, after, maxEntries: 0, maxBytes: 0 });
}
