import type { HttpBindings } from "@hono/node-server";
import { type EverstreamErrorCode, isEverstreamError } from "everstream";
import { encodeEvent } from "everstream/protocol";
import type { Context, Hono } from "hono";
import { HTTPException } from "hono/http-exception";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { complain, isClosed, isLogAway } from "./complain.ts";

export interface DemoEnv {
  Bindings: HttpBindings;
}

/** No route but the upload takes more than this. */
const MAX_JSON_BYTES = 64 * 1024;

/** What clients send and no event can carry, as arrays that are nested ten thousand times. */
const UNSENDABLE: Readonly<Partial<Record<EverstreamErrorCode, ContentfulStatusCode>>> = {
  INVALID_EVENT: 400,
  NOT_SERIALIZABLE: 400,
  EVENT_TOO_LARGE: 413,
};

/** An error whose message is meant for the client. */
export function problem(status: ContentfulStatusCode, message: string): HTTPException {
  return new HTTPException(status, { message });
}

/** Makes every answer that is not a success a JSON object that says what is wrong. */
export function answerInJson(app: Hono<DemoEnv>): void {
  app.notFound((c) => c.json({ error: `there is nothing at ${c.req.method} ${c.req.path}` }, 404));
  app.onError((error, c) => {
    if (error instanceof HTTPException)
      return c.json({ error: error.message }, error.status as ContentfulStatusCode);
    if (isClosed(error)) return leave(c);
    const status = isEverstreamError(error) ? UNSENDABLE[error.code] : undefined;
    if (status !== undefined) return c.json({ error: (error as Error).message }, status);
    complain(`${c.req.method} ${c.req.path} failed`, error);
    if (isLogAway(error)) return comeBack(c, "the log of events can't be reached");
    return c.json({ error: "internal error" }, 500);
  });
}

/**
 * Once `isLeaving` says so, whoever asks is sent elsewhere, and every connection ends with the answer that it waits for: a
 * client that keeps one would go on asking over it, and the server could not end.
 */
export function sendElsewhere(app: Hono<DemoEnv>, isLeaving: () => boolean): void {
  app.use(async (c, next) => {
    if (isLeaving()) return leave(c);
    await next();
    if (isLeaving()) c.header("Connection", "close");
    return undefined;
  });
}

function leave(c: Context): Response {
  c.header("Connection", "close");
  return comeBack(c, "this server is closing");
}

/** Has a client try again in a second or two. An EventSource must not hear of it by a status: it would give up for good. */
function comeBack(c: Context, why: string): Response {
  if (c.req.method === "GET" && c.req.header("accept")?.includes("text/event-stream")) {
    const retry = 1000 + Math.round(Math.random() * 1000);
    const headers = { "Content-Type": "text/event-stream", "Cache-Control": "no-cache, no-transform" };
    return c.body(encodeEvent({ comment: why, retry }), 200, headers);
  }
  c.header("Retry-After", "1");
  return c.json({ error: `${why}; try again` }, 503);
}

/** Has every answer say which of several servers it came from. */
export function nameNode(app: Hono<DemoEnv>, node: string): void {
  app.use(async (c, next) => {
    await next();
    c.header("X-Node", node);
  });
}

/** Answers 405 where a path exists, but not for this method. Called when all routes are there. */
export function refuseOtherMethods(api: Hono<DemoEnv>): void {
  const methods = new Map<string, Set<string>>();
  for (const { path, method } of api.routes) {
    const known = methods.get(path) ?? new Set();
    methods.set(path, known.add(method));
  }
  for (const [path, known] of methods) {
    if (known.has("GET")) known.add("HEAD");
    const allowed = [...known].join(", ");
    api.all(path, (c) => {
      c.header("Allow", allowed);
      return c.json({ error: `${c.req.method} is not allowed here, only ${allowed}` }, 405);
    });
  }
}

/** Reads the body as a JSON object. Its type is not asked for: browsers send strings as `text/plain`. */
export async function readObject(request: Request): Promise<Record<string, unknown>> {
  const text = await readText(request);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new HTTPException(400, { message: "the body is not valid JSON", cause: error });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw problem(400, "the body must be a JSON object");
  }
  return value as Record<string, unknown>;
}

async function readText(request: Request): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  try {
    for await (const part of request.body ?? []) {
      bytes += part.length;
      if (bytes > MAX_JSON_BYTES) break;
      parts.push(part);
    }
  } catch (error) {
    // A client that left in the middle, as anybody can as often as they like: nothing to complain of.
    throw new HTTPException(400, { message: "the body ended early", cause: error });
  }
  if (bytes > MAX_JSON_BYTES) throw problem(413, `the body is larger than ${MAX_JSON_BYTES} bytes`);
  return Buffer.concat(parts).toString("utf8");
}
