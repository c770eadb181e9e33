import { EverstreamError } from "../errors.ts";
import { EVENT_STREAM_TYPE } from "../protocol/index.ts";
import { lastEventIdOf } from "../session/last-event-id.ts";
import type { RefusalReason } from "./diagnostics.ts";
import type { Opening, RequestHead } from "./respond.ts";
import { comeBackBlock, type Sessions } from "./sessions.ts";

/** Seconds after which a client that is no EventSource may try again. */
const RETRY_AFTER_S = 2;
const RETRY_AFTER = /* @__PURE__ */ Object.freeze({ "Retry-After": String(RETRY_AFTER_S) });

/** An answer that opens nothing, and for those who watch the hub, why. */
export interface Refused {
  readonly kind: "refused";
  readonly reason: RefusalReason;
  readonly code: string;
  readonly answer: Extract<Opening, { kind: "response" }>;
}

/** What a client is told, with the code for programs. */
interface Words {
  readonly message: string;
  readonly code: string;
}

/** A refusal that says why. */
export function refusal(
  reason: RefusalReason,
  status: number,
  { message, code }: Words,
  headers?: Readonly<Record<string, string>>,
): Refused {
  const answer: Refused["answer"] = {
    kind: "response",
    status,
    headers: { "Content-Type": "application/json", ...headers },
    body: JSON.stringify({ error: message, code }),
  };
  return { kind: "refused", reason, code, answer };
}

/** A hub that is closing, or has no log, sends its clients to another server, or to the next one in its place. */
export function closing(
  reason: "closing" | "failed",
  sessions: Pick<Sessions, "retryMs">,
  head: RequestHead,
  headers: Readonly<Record<string, string>>,
): Refused {
  const error = new EverstreamError("HUB_CLOSED", "This server takes no streams at the moment; try again.");
  return isEventSource(head)
    ? comeBack(reason, error, sessions.retryMs(), headers)
    : refusal(reason, 503, error, RETRY_AFTER);
}

/** A hub that is full is not so for good, and others may have room. */
export function full(
  sessions: Sessions,
  head: RequestHead,
  headers: Readonly<Record<string, string>>,
): Refused {
  const error = new EverstreamError(
    "TOO_MANY_SESSIONS",
    "This server has as many streams as it may; try again.",
  );
  return isEventSource(head)
    ? comeBack("full", error, sessions.retryMs(), headers)
    : refusal("full", 503, error, RETRY_AFTER);
}

/**
 * Who opens one stream too many is told so with 429, at which an EventSource gives up: it would not help to try again
 * while the other tabs are there. One that returns had its place, and it may be the server that has not yet seen that the
 * connection before is gone: it comes back.
 */
export function fullForKey(head: RequestHead, headers: Readonly<Record<string, string>>): Refused {
  const returns = lastEventIdOf(head.header("last-event-id"), head.url) !== undefined;
  const error = new EverstreamError(
    "TOO_MANY_SESSIONS",
    "There are too many streams open; close one, or try again.",
  );
  if (returns && isEventSource(head)) {
    return comeBack("full-for-key", error, Math.round(RETRY_AFTER_S * 1000 * (0.5 + Math.random())), headers);
  }
  return refusal("full-for-key", 429, error, RETRY_AFTER);
}

function comeBack(
  reason: RefusalReason,
  { code }: Words,
  retryMs: number,
  headers: Readonly<Record<string, string>>,
): Refused {
  const body = comeBackBlock(reason, retryMs);
  return { kind: "refused", reason, code, answer: { kind: "response", status: 200, headers, body } };
}

function isEventSource(head: RequestHead): boolean {
  return head.method === "GET" && head.header("accept")?.includes(EVENT_STREAM_TYPE) === true;
}
