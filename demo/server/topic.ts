import type { Hub } from "everstream";
import { streamTopics } from "everstream/hono";
import type { Context } from "hono";
import type { DemoEnv } from "./http.ts";

/**
 * A topic's last events and what follows, as a stream; to who accepts JSON, the events up to now and the position to go
 * on after. Pages take both, one after the other: a stream that tabs share begins with what comes next.
 */
export async function answerTopic(
  c: Context<DemoEnv>,
  hub: Hub,
  topic: string,
  last: number,
): Promise<Response> {
  if (c.req.header("accept") !== "application/json") {
    return streamTopics(c, hub, { topics: topic, from: { last } });
  }
  const { events, position } = await hub.read(topic, { last });
  c.header("Cache-Control", "no-store");
  return c.json({ events: events.map(({ type, data }) => ({ type, data })), position });
}
