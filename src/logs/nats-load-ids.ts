import { TopicIds } from "./nats-ids.ts";
import type { Session } from "./nats-session.ts";
import { type KnownTopic, learnIds, recordOf } from "./nats-topics.ts";

/** How many messages are looked through at once. */
const FETCHED = 1000;
/** How far this machine's clock and the server's may be apart. */
const CLOCKS_APART_MS = 60_000;

/**
 * The ids of a topic that have to be known: those of its messages within the window. They are read once, headers only; from
 * then on the clock brings them. A topic that has none to be remembered needs no reading.
 */
export async function loadIds(session: Session, topic: KnownTopic, windowMs: number): Promise<TopicIds> {
  if (topic.ids === undefined) {
    // The clock adds to them from now on.
    topic.ids = new TopicIds();
    if ((topic.record?.idsUntil ?? 0) > 0) topic.idsLoading = readIds(session, topic, topic.ids, windowMs);
  }
  const { ids, idsLoading } = topic;
  try {
    await idsLoading;
  } catch (error) {
    if (topic.ids === ids) topic.ids = undefined;
    throw error;
  }
  return ids;
}

async function readIds(session: Session, topic: KnownTopic, ids: TopicIds, windowMs: number): Promise<void> {
  let start: { since: number } | { from: number } = { since: Date.now() - windowMs - CLOCKS_APART_MS };
  for (;;) {
    const found = await session.link.fetch({
      subject: topic.subject,
      headersOnly: true,
      max: FETCHED,
      ...start,
    });
    for (const message of found) learnIds(ids, message, recordOf(message));
    const last = found.at(-1);
    if (last === undefined || found.length < FETCHED) return;
    start = { from: last.sequence + 1 };
  }
}
