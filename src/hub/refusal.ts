import { EverstreamError } from "../errors.ts";
import { EVENT_STREAM_TYPE } from "../protocol/index.ts";
import { lastEventIdOf } from "../session/last-event-id.ts";
import type { Opening, RequestHead } from "./respond.ts";
import { comeBackBlock, type Sessions } from "./sessions.ts";

/** Seconds after which a client that is no EventSource may try again. */
const RETRY_AFTER_S = 2;
const RETRY_AFTER = /* @__PURE__ */ Object.freeze({ "Retry-After": String(RETRY_AFTER_S) });

/** An answer that opens nothing, and says why. */
export function refusal(
  status: number,
  { message, code }: { readonly message: string; readonly code: string },
  headers?: Readonly<Record<string, string>>,
): Opening {
  const body = JSON.stringify({ error: message, code });
  return { kind: "response", status, headers: { "Content-Type": "application/json", ...headers }, body };
}

/** A hub that is closing, or has no log, sends its clients to another server, or to the next one in its place. */
export function closing(sessions: Sessions, head: RequestHead, headers: Record<string, string>): Opening {
  const error = new EverstreamError("HUB_CLOSED", "This server takes no streams at the moment; try again.");
  return isEventSource(head)
    ? comeBack("closing", sessions.retryMs(), headers)
    : refusal(503, error, RETRY_AFTER);
}

/** A hub that is full is not so for good, and others may have room. */
export function full(sessions: Sessions, head: RequestHead, headers: Record<string, string>): Opening {
  const error = new EverstreamError(
    "TOO_MANY_SESSIONS",
    "This server has as many streams as it may; try again.",
  );
  return isEventSource(head)
    ? comeBack("full", sessions.retryMs(), headers)
    : refusal(503, error, RETRY_AFTER);
}

/**
 * Who opens one stream too many is told so with 429, at which an EventSource gives up: it would not help to try again
 * while the other tabs are there. One that returns had its place, and it may be the server that has not yet seen that the
 * connection before is gone: it comes back.
 */
export function fullForKey(head: RequestHead, headers: Record<string, string>): Opening {
  const returns = lastEventIdOf(head.header("last-event-id"), head.url) !== undefined;
  if (returns && isEventSource(head)) {
    return comeBack("full", Math.round(RETRY_AFTER_S * 1000 * (0.5 + Math.random())), headers);
  }
  const error = new EverstreamError(
    "TOO_MANY_SESSIONS",
    "There are too many streams open; close one, or try again.",
  );
  return refusal(429, error, RETRY_AFTER);
}

function comeBack(why: string, retryMs: number, headers: Record<string, string>): Opening {
  return { kind: "response", status: 200, headers, body: comeBackBlock(why, retryMs) };
}

function isEventSource(head: RequestHead): boolean {
  return head.method === "GET" && head.header("accept")?.includes(EVENT_STREAM_TYPE) === true;
}
