import { FAULT, isFault } from "./errors.ts";
import { messageOf, nameOf } from "./names.ts";
import { withoutAged } from "./read.ts";
import { lastOf, type TopicRecord } from "./record.ts";
import type { Session } from "./session.ts";
import type { StreamMessage } from "./stream-message.ts";
import { recordOf } from "./topics.ts";

/** How many messages one step looks at. */
const MESSAGES = 1000;
/** A topic without events is remembered for so long, so that nobody who has looked at it still acts on that. */
const REMEMBERED_MS = 600_000;
/** How many topics one floor stands for anew: their names travel with it. */
const MAX_FORGOTTEN = 50;

/** What a walk has found that is no longer needed. */
export interface Found {
  readonly subject: string;
  /** Messages before this one. */
  readonly before: number;
}

/** A topic that has nothing left. */
interface Empty {
  readonly subject: string;
  readonly token: string;
  readonly record: TopicRecord;
}

/**
 * Walks through the stream from its old end, a bounded part at a time, and rests when it is through. It finds what is over
 * its age, and topics of which nothing is left. Looks at headers; asks for a topic only where there may be something.
 */
export class Walker {
  readonly #restMs: number;
  readonly #rememberedMs: number;
  #next = 1;
  #restsUntil = 0;

  constructor(restMs: number, rememberedMs = REMEMBERED_MS) {
    this.#restMs = restMs;
    this.#rememberedMs = rememberedMs;
  }

  /** One step. `found` what can be removed now, `forgotten` what can be once nobody can have known of it any more. */
  async step(
    session: Session,
    horizon: number,
  ): Promise<{ readonly found: readonly Found[]; readonly forgotten: readonly Found[] }> {
    const now = Date.now();
    if (now < this.#restsUntil) return { found: [], forgotten: [] };
    const { topics } = session.subjects;
    const messages = await session.link.fetch({
      subject: topics,
      from: this.#next,
      max: MESSAGES,
      headersOnly: true,
    });
    const last = messages.at(-1);
    this.#next = messages.length < MESSAGES || last === undefined ? 1 : last.sequence + 1;
    // Many nodes' walks are not to begin at once.
    if (this.#next === 1) this.#restsUntil = now + this.#restMs * (0.5 + Math.random());
    let anyIsAged = false;
    const found: Found[] = [];
    const empty: Empty[] = [];
    for (const [subject, message] of candidates(messages, horizon)) {
      const token = session.subjects.tokenOf(subject) ?? "";
      const { record, isAged } = await current(session, nameOf(token), horizon);
      anyIsAged ||= isAged;
      // Ids are remembered by the clock that ages go by.
      if (record.message === 0 || record.idsUntil > horizon) continue;
      const before = record.events === 0 ? record.message : messageOf(record.first);
      if (message.sequence < before) found.push({ subject, before });
      const isOld = message.sequence === record.message && message.time < now - this.#rememberedMs;
      if (record.events === 0 && isOld && empty.length < MAX_FORGOTTEN)
        empty.push({ subject, token, record });
    }
    // All nodes are to see the same, and before it is gone.
    if (anyIsAged && horizon > session.horizon && !(await hasRaised(session, horizon))) {
      return { found: [], forgotten: [] };
    }
    return { found, forgotten: await this.#forget(session, empty) };
  }

  /** Has the floor stand for these topics. Where somebody else moves it at this moment, they come up again. */
  async #forget(session: Session, empty: readonly Empty[]): Promise<Found[]> {
    if (empty.length === 0) return [];
    const floor = Math.max(session.floor, ...empty.map(({ record }) => lastOf(record)));
    try {
      await session.raiseFloor(
        floor,
        empty.map(({ token }) => token),
      );
    } catch (error) {
      if (isFault(error, FAULT.wrongLastSequence)) return [];
      throw error;
    }
    return empty.map(({ subject, record }) => ({ subject, before: record.message + 1 }));
  }
}

/** The messages that may no longer be needed, the newest one of each topic. */
function candidates(messages: readonly StreamMessage[], horizon: number): Map<string, StreamMessage> {
  const found = new Map<string, StreamMessage>();
  for (const message of messages) {
    const { events, newest, maxAgeMs } = recordOf(message);
    if (events === 0 || newest + maxAgeMs <= horizon) found.set(message.subject, message);
  }
  return found;
}

/** Whether all nodes are told of the horizon. Somebody else may be about to tell of another one. */
async function hasRaised(session: Session, horizon: number): Promise<boolean> {
  try {
    await session.raiseHorizon(horizon);
    return true;
  } catch (error) {
    if (isFault(error, FAULT.wrongLastSequence)) return false;
    throw error;
  }
}

async function current(
  session: Session,
  name: string,
  horizon: number,
): Promise<{ readonly record: TopicRecord; readonly isAged: boolean }> {
  const topic = session.topics.topic(name);
  if (topic.record === undefined) await session.topics.load(topic);
  const before = topic.record as TopicRecord;
  const record = await withoutAged({ session, horizon }, name, before);
  return { record, isAged: record !== before };
}
