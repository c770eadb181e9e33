import { invalidOption, isEverstreamError } from "../errors.ts";
import { hasMethod } from "../input.ts";
import { encodeEvent } from "../protocol/index.ts";
import { helloOf } from "../session/handler.ts";
import { lastEventIdOf } from "../session/last-event-id.ts";
import type { SessionSettings } from "../session/options.ts";
import { report } from "../session/report.ts";
import { Session } from "../session/session.ts";
import type { Audience } from "./audience.ts";
import { askLeave, expired, type Leave } from "./authorize.ts";
import { endOfAge } from "./deadline.ts";
import { gapBlock } from "./frame.ts";
import type { Live } from "./live.ts";
import type { Meter } from "./meter.ts";
import type { RespondOptions } from "./options.ts";
import type { Outlet } from "./outlet.ts";
import { Reader } from "./reader.ts";
import { closing, full, fullForKey, type Refused } from "./refusal.ts";
import { respondSettings } from "./respond-options.ts";
import { checkpointBlock, SessionOutlet } from "./session-outlet.ts";
import type { Sessions } from "./sessions.ts";
import { findStart, type Start } from "./start.ts";
import type { TurnShare } from "./turn-share.ts";

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
  | { readonly kind: "stream"; readonly headers: Readonly<Record<string, string>>; readonly session: Session }
  | {
      readonly kind: "response";
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: string | null;
    };

/** What an opening needs of the hub. */
export interface OpeningHost {
  readonly closing: boolean;
  readonly sessions: Sessions;
  /** Each is let in when it is its turn. */
  readonly openings: TurnShare;
  readonly maxTopics: number;
  readonly meter: Meter;
  live(): Promise<Live>;
}

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
  if (!hasMethod(head, "header")) {
    throw invalidOption("`head` must have the request's `method`, its `url`, and a function `header(name)`.");
  }
  const decision = await decide(host, head, options);
  if (decision.kind !== "refused") return decision;
  const { reason, code, answer } = decision;
  host.meter.refused(reason, answer.status, code, options.key);
  return answer;
}

async function decide(
  host: OpeningHost,
  head: RequestHead,
  options: RespondOptions,
): Promise<Opening | Refused> {
  const { session: settings, retry, maxAgeMs, headers } = respondSettings(options);
  // Before anybody is asked who this is: that costs, too.
  const busy = head.method === "HEAD" ? undefined : turnedAway(host, head, headers);
  if (busy !== undefined) return busy;
  const others = host.openings.enter();
  if (others !== undefined) await others;
  const leave = await askLeave(head, options, host.maxTopics);
  if ("kind" in leave) return leave;
  const over = expired(leave);
  if (over !== undefined) return over;
  if (head.method === "HEAD") return { kind: "response", status: 200, headers, body: null };
  let audience: Audience | undefined;
  try {
    const live = await host.live();
    const after = lastEventIdOf(head.header("last-event-id"), head.url);
    const { topics, notBefore } = leave.rights;
    audience = await live.inOneEpoch(
      () => live.join(topics),
      (held) => held.release(),
    );
    const joined = audience;
    const start = await live.inOneEpoch(() => findStart(live, joined, after, options.from, notBefore));
    const refused = turnedAway(host, head, headers) ?? expired(leave);
    if (refused !== undefined) return refused;
    if (start.isOver) return { kind: "response", status: 204, headers: {}, body: null };
    // From here to the session's being counted nobody else has a turn.
    if (host.sessions.isFullFor(options.key)) return fullForKey(head, headers);
    const session = new Session(settings);
    begin(session, audience, start, retry);
    const { key, compaction } = options;
    const opened = { key, compaction, endsAt: endOf(leave, maxAgeMs) };
    host.sessions.add(new SessionOutlet(host.sessions, session, opened, readerOf(audience, start)));
    return { kind: "stream", headers, session };
  } catch (error) {
    const isClosed = isEverstreamError(error, "HUB_CLOSED") || isEverstreamError(error, "LOG_CLOSED");
    if (!isClosed) report("A stream could not be opened", error);
    return closing(isClosed ? "closing" : "failed", host.sessions, head, headers);
  } finally {
    // The reader holds it by now, if there is one.
    audience?.release();
  }
}

/** What a client is told that no session could be opened for, whoever it is. */
function turnedAway(
  { closing: isClosing, sessions }: OpeningHost,
  head: RequestHead,
  headers: Readonly<Record<string, string>>,
): Refused | undefined {
  if (isClosing) return closing("closing", sessions, head, headers);
  return sessions.isFull ? full(sessions, head, headers) : undefined;
}

function readerOf(audience: Audience, start: Start): (outlet: Outlet) => Reader {
  return (outlet) => new Reader(audience, outlet, start);
}

function endOf({ expiresAt }: Leave, maxAgeMs: number): number {
  return Math.min(expiresAt, endOfAge(maxAgeMs));
}

/**
 * What opens the stream: heartbeat and reconnection time, what can't be had, and the position to go on from. In one piece,
 * since one more could find too much waiting, and end a session of which nobody knows yet.
 */
function begin(session: Session, audience: Audience, { cursor, gaps }: Start, retry: number): void {
  let text = greetingOf(session.settings, retry);
  for (const gap of gaps) {
    audience.meter.gap(gap);
    text += gapBlock(gap);
  }
  session.write(text + checkpointBlock(audience.format(cursor)));
}

let lastGreeting = { settings: undefined as SessionSettings | undefined, retry: 0, text: "" };

/** Made once for all that open with the same options, one after the other. */
function greetingOf(settings: SessionSettings, retry: number): string {
  if (lastGreeting.settings !== settings || lastGreeting.retry !== retry) {
    lastGreeting = { settings, retry, text: helloOf(settings) + encodeEvent({ retry }) };
  }
  return lastGreeting.text;
}
