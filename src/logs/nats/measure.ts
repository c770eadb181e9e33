import type { Measures } from "./draft.ts";
import { NoAnswer } from "./errors.ts";
import { messageOf } from "./names.ts";
import type { TopicRecord } from "./record.ts";
import type { Session } from "./session.ts";
import type { KnownTopic } from "./topics.ts";

/** How many messages are read at once. */
const MEASURED_MESSAGES = 64;

/** Reads some more of a topic's oldest events. */
export async function measureMore(
  session: Session,
  name: string,
  topic: KnownTopic,
  base: TopicRecord,
  { known }: Measures,
): Promise<void> {
  const last = known.at(-1);
  const from = last === undefined ? messageOf(base.first) : messageOf(last.position) + 1;
  const read = await session.messages.read(name, from, base.message, MEASURED_MESSAGES);
  const added = read.flatMap((message) =>
    message.record.message > base.message
      ? []
      : message.measuresAfter(Math.max(base.first - 1, last?.position ?? 0)),
  );
  const measures = [...known, ...added];
  const complete = (measures.at(-1)?.position ?? 0) >= base.lastEvent;
  // The topic is not what it was thought to be.
  if (added.length === 0 && !complete) {
    session.topics.forget(topic);
    throw new NoAnswer("the topic was trimmed meanwhile");
  }
  topic.measures = { known: measures, complete };
  topic.measuredAt = base.message;
}
