import { EverstreamError, isEverstreamError } from "../errors.ts";
import { EVENT_STREAM_HEADERS, EVENT_STREAM_TYPE, encodeEvent } from "../protocol/index.ts";
import { helloOf } from "../session/handler.ts";
import { lastEventIdOf } from "../session/last-event-id.ts";
import { type SessionSettings, type StreamOptions, sessionSettings } from "../session/options.ts";
import { report } from "../session/report.ts";
import { Session } from "../session/session.ts";
import type { Audience } from "./audience.ts";
import { gapBlock } from "./frame.ts";
import type { Live } from "./live.ts";
import { assertFrom, type RespondOptions, retryOf } from "./options.ts";
import { Reader } from "./reader.ts";
import { checkpointBlock, SessionOutlet } from "./session-outlet.ts";
import { comeBackBlock, type Sessions } from "./sessions.ts";
import { findStart, type Start } from "./start.ts";
import { topicSet } from "./topics.ts";

/** What a hub needs of a request, whatever server it came to. */
export interface RequestHead {
  readonly method: string;
  /** Absolute, or from the path on. */
  readonly url: string;
  /** A header's value by its name in lower case. */
  header(name: string): string | null | undefined;
}

/**
 * The answer to a request. For a stream, the server's side sends the headers and attaches a sink to the session; what the
 * client is to get is fixed by now, and waits until then. A session that gets no sink must be ended.
 */
export type Opening =
  | { readonly kind: "stream"; readonly headers: Record<string, string>; readonly session: Session }
  | {
      readonly kind: "response";
      readonly status: 200 | 204 | 400 | 503;
      readonly headers: Record<string, string>;
      readonly body: string | null;
    };

/** What an opening needs of the hub. */
export interface OpeningHost {
  readonly closing: boolean;
  readonly sessions: Sessions;
  readonly maxTopics: number;
  live(): Promise<Live>;
}

/** Seconds after which a client that is no EventSource may try again. */
const RETRY_AFTER_S = 2;

/**
 * Decides on a request: who reads what from where on.
 *
 * @throws EverstreamError `INVALID_OPTION`, `INVALID_EVENT`, `RESERVED_TYPE` for options that can't be used.
 */
export async function openSession(
  host: OpeningHost,
  head: RequestHead,
  options: RespondOptions,
): Promise<Opening> {
  const settings = settingsOf(options);
  const retry = retryOf(options.retry);
  assertFrom(options.from);
  let topics: readonly string[];
  try {
    topics = topicSet(options.topics, host.maxTopics);
  } catch (error) {
    if (isEverstreamError(error)) return refusal(400, error);
    throw error;
  }
  const headers = headersWith(options.headers);
  if (head.method === "HEAD") return { kind: "response", status: 200, headers, body: null };
  if (host.closing) return comeBack(host, head, headers);
  const after = lastEventIdOf(head.header("last-event-id"), head.url);
  let audience: Audience | undefined;
  try {
    const live = await host.live();
    audience = await live.join(topics);
    const start = await findStart(live, audience, after, options.from);
    if (host.closing) return comeBack(host, head, headers);
    if (start.isOver) return { kind: "response", status: 204, headers: {}, body: null };
    const session = new Session(settings);
    begin(session, audience, start, retry);
    const reader = new Reader(audience, new SessionOutlet(session, options.compaction), start);
    host.sessions.add(session, reader, audience, options.key);
    return { kind: "stream", headers, session };
  } catch (error) {
    if (!isEverstreamError(error, "HUB_CLOSED")) report("A stream could not be opened", error);
    return comeBack(host, head, headers);
  } finally {
    // The reader holds it by now, if there is one.
    audience?.release();
  }
}

/** What opens the stream: heartbeat and reconnection time, what can't be had, and the position to go on from. */
function begin(session: Session, audience: Audience, { cursor, gaps }: Start, retry: number): void {
  session.write(helloOf(session) + encodeEvent({ retry }));
  for (const gap of gaps) {
    audience.counts.gaps[gap.reason]++;
    session.write(gapBlock(gap));
  }
  session.write(checkpointBlock(audience.format(cursor)));
}

/** A hub that is closing, or has no log, sends its clients to another server, or to the next one in its place. */
function comeBack(host: OpeningHost, head: RequestHead, headers: Record<string, string>): Opening {
  if (head.method === "GET" && head.header("accept")?.includes(EVENT_STREAM_TYPE)) {
    return { kind: "response", status: 200, headers, body: comeBackBlock(host.sessions.retryMs()) };
  }
  const error = new EverstreamError("HUB_CLOSED", "This server takes no streams at the moment; try again.");
  return refusal(503, error, { "Retry-After": String(RETRY_AFTER_S) });
}

function refusal(status: 400 | 503, error: EverstreamError, headers?: Record<string, string>): Opening {
  const body = JSON.stringify({ error: error.message, code: error.code });
  return { kind: "response", status, headers: { "Content-Type": "application/json", ...headers }, body };
}

/** The usual headers, but for those that the user chose, however these are spelt. */
function headersWith(chosen: Readonly<Record<string, string>> = {}): Record<string, string> {
  const names = new Set(Object.keys(chosen).map((name) => name.toLowerCase()));
  const usual = Object.entries(EVENT_STREAM_HEADERS).filter(([name]) => !names.has(name.toLowerCase()));
  return { ...Object.fromEntries(usual), ...chosen };
}

let lastKey = "";
let lastSettings: SessionSettings | undefined;

/** Sessions with the same options share one object: most of a server's have. */
function settingsOf({
  heartbeat,
  stallTimeout,
  highWaterMark,
  maxPendingBytes,
}: RespondOptions): SessionSettings {
  const key = JSON.stringify([heartbeat, stallTimeout, highWaterMark, maxPendingBytes]);
  if (lastSettings === undefined || key !== lastKey) {
    const options: StreamOptions = {};
    if (heartbeat !== undefined) options.heartbeat = heartbeat;
    if (stallTimeout !== undefined) options.stallTimeout = stallTimeout;
    if (highWaterMark !== undefined) options.highWaterMark = highWaterMark;
    if (maxPendingBytes !== undefined) options.maxPendingBytes = maxPendingBytes;
    lastSettings = sessionSettings(options);
    lastKey = key;
  }
  return lastSettings;
}
