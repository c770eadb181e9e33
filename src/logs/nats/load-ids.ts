import { NoAnswer } from "./errors.ts";
import { TopicIds } from "./ids.ts";
import type { Session } from "./session.ts";
import { type KnownTopic, learnIds, recordOf } from "./topics.ts";

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
  const since = Date.now() - windowMs - CLOCKS_APART_MS;
  // What comes later is brought by the clock.
  const newest = topic.record?.message ?? 0;
  let start: { since: number } | { from: number } = { since };
  let through = 0;
  for (;;) {
    const found = await session.link.fetch({
      subject: topic.subject,
      headersOnly: true,
      max: FETCHED,
      ...start,
    });
    for (const message of found) learnIds(ids, message, recordOf(message));
    through = found.at(-1)?.sequence ?? through;
    if (found.length < FETCHED) break;
    start = { from: through + 1 };
  }
  if (through >= newest || !session.link.isCopied) return;
  // Whichever of several copies was asked: it may be behind, unless the newest message is from before the window.
  const message = await session.get({ seq: newest });
  if (message !== undefined && message.time < since) return;
  session.topics.forget(topic);
  throw new NoAnswer("a copy of the stream is behind");
}
