import type { Epoch } from "../../hub/log.ts";
import { maxCarriedChars } from "./batch.ts";
import { type Decision, Draft, type KnownIds, NEEDS_MEASURES } from "./draft.ts";
import { loadIds } from "./load-ids.ts";
import { measureMore } from "./measure.ts";
import type { Pending } from "./pending.ts";
import { type Reading, withoutAged } from "./read.ts";
import type { TopicRecord } from "./record.ts";
import type { Session } from "./session.ts";
import type { KnownTopic } from "./topics.ts";

/** A topic that is written to. */
export interface Deciding extends Reading {
  readonly topic: KnownTopic;
  readonly name: string;
}

/** What the topic's next message would be, after which one, and what becomes of each append. */
export interface Decided {
  readonly base: TopicRecord;
  readonly draft: Draft;
  readonly decisions: ReadonlyMap<Pending, Decision>;
}

/** Decides appends that go together against what the topic is, of which it reads what is not known here. */
export async function decide(deciding: Deciding, appends: readonly Pending[]): Promise<Decided> {
  const { session, topic, name } = deciding;
  if (topic.record === undefined) await session.topics.load(topic);
  const base = await seen(deciding);
  const ids = await idsFor(deciding, appends);
  for (;;) {
    const measures = topic.currentMeasures(base);
    try {
      const draft = new Draft(base, session.floor, measures, ids);
      const decisions = new Map<Pending, Decision>();
      for (const pending of appends) {
        if (!pending.settled) decisions.set(pending, decideOne(session, draft, pending));
      }
      if (draft.entries.length > 0) draft.record("");
      return { base, draft, decisions };
    } catch (error) {
      if (error !== NEEDS_MEASURES) throw error;
      await measureMore(session, name, topic, base, measures);
    }
  }
}

/** The topic as the hub's readers see it. */
async function seen({ session, topic, name, horizonOf }: Deciding): Promise<TopicRecord> {
  const record = topic.record as TopicRecord;
  const horizon = horizonOf();
  if (record.events === 0 || record.oldest + record.maxAgeMs > horizon) return record;
  return withoutAged({ session, horizon }, name, record);
}

async function idsFor({ session, topic }: Deciding, appends: readonly Pending[]): Promise<KnownIds> {
  const isNeeded = ({ request }: Pending) => request.publishId !== undefined || request.mark === "delete";
  if (!appends.some(isNeeded)) return NO_IDS;
  const windowMs = Math.max(...appends.map(({ request }) => request.publishIdWindowMs));
  const ids = await loadIds(session, topic, windowMs);
  return {
    find: (id, now) => ids.find(id, now),
    carriedOn: (now) => ids.carriedOn(now, maxCarriedChars(session.maxPayload)),
  };
}

function decideOne(session: Session, draft: Draft, pending: Pending): Decision {
  const { request } = pending;
  if (typeof request.expectLast === "number" && !isKept(session.epochs, pending.epoch, request.expectLast)) {
    // What it names is void; but a publish that was stored before has its result.
    return draft.decide({ ...pending, request: { ...request, expectLast: -1 } }, session.floor);
  }
  return draft.decide(pending, session.floor);
}

/** Whether a sequence that was named in an epoch still means what it meant. */
function isKept(epochs: readonly Epoch[], epoch: Epoch, sequence: number): boolean {
  const index = epochs.findLastIndex((known) => known.epoch === epoch.epoch);
  if (index === -1) return sequence <= 0;
  const next = epochs[index + 1];
  return next === undefined || sequence < next.first;
}

const NO_IDS: KnownIds = { find: () => undefined, carriedOn: () => [] };
