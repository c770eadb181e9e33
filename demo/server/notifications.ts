import type { Hub } from "everstream";
import { streamTopics } from "everstream/hono";
import type { Hono } from "hono";
import { type DemoEnv, problem, readObject } from "./http.ts";
import type { Sessions } from "./session.ts";

const TYPES: ReadonlySet<unknown> = new Set(["message", "notification", "alert"]);
const ID = /^[A-Za-z0-9-]{8,64}$/;

interface Options {
  readonly hub: Hub;
  readonly sessions: Sessions;
  readonly heartbeatMs: number;
}

/**
 * `GET` and `POST /notifications` for the signed-in user. Each user has a topic; the hub keeps its events, so that a
 * client which was away gets what it missed.
 */
export function addNotifications(api: Hono<DemoEnv>, { hub, sessions, heartbeatMs }: Options): void {
  api.get("/notifications", async (c) => {
    const user = await sessions.userOf(c);
    return streamTopics(c, hub, {
      topics: [topicOf(user)],
      heartbeat: { event: "heartbeat", every: heartbeatMs },
    });
  });

  api.post("/notifications", async (c) => {
    const user = await sessions.userOf(c);
    const { type, payload, publishId } = readNotification(await readObject(c.req.raw));
    const id = await hub.publish(topicOf(user), { type, data: payload }, { publishId });
    return c.json({ id }, 201);
  });
}

function topicOf(user: string): string {
  return `user:${user}`;
}

interface Notification {
  readonly type: string;
  readonly payload: unknown;
  /** Who sends it again with the same one, since no answer came, has sent it once. */
  readonly publishId: string | undefined;
}

function readNotification({ type, payload, id }: Record<string, unknown>): Notification {
  if (typeof type !== "string" || !TYPES.has(type)) {
    throw problem(400, `type must be one of ${[...TYPES].join(", ")}`);
  }
  if (payload === undefined) throw problem(400, "payload is missing; it may be any JSON value");
  if (id !== undefined && (typeof id !== "string" || !ID.test(id))) {
    throw problem(400, "id must be 8 to 64 letters, digits or dashes, other for each notification");
  }
  return { type, payload, publishId: id };
}
