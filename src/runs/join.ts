import { EverstreamError } from "../errors.ts";
import type { Hub, Opening, RequestHead, RespondOptions } from "../hub/index.ts";
import { closing } from "../hub/refusal.ts";
import { EVENT_STREAM_HEADERS } from "../protocol/index.ts";
import type { CloseReason } from "../session/close-reason.ts";
import { lastEventIdOf } from "../session/last-event-id.ts";
import { report } from "../session/report.ts";
import type { Session } from "../session/session.ts";
import { isClosed } from "./closed.ts";
import { compactionFor } from "./compaction.ts";
import { findRun, lastEvent, latestProgress } from "./find.ts";
import type { FoundRun, RunInfo } from "./types.ts";

/** Options of `runs.open`, `runs.respond` and the adapters' `streamRun`. */
export interface JoinOptions extends Omit<RespondOptions, "topics" | "from" | "compaction" | "authorize"> {
  /** Whether this client may read this run; `false` becomes 403. Asked at every opening. */
  authorize?: (run: RunInfo) => boolean | Promise<boolean>;
}

/** The answer to a request for a run's stream; as the hub's, and refusals: 404 and 410 for runs that are not there. */
export type RunOpening =
  | Opening
  | {
      readonly kind: "response";
      readonly status: 403 | 404 | 410;
      readonly headers: Record<string, string>;
      readonly body: string;
    };

/** A {@link RunOpening} that opens nothing. */
export type RunRefusal = Extract<RunOpening, { kind: "response" }>;

/** How long an EventSource waits that could not be let in, at the most. */
const MAX_RETRY_MS = 2000;

/** Opens a run's stream: what was written, in few large events, and then what comes. */
export async function openRun(
  hub: Hub,
  topic: string,
  head: RequestHead,
  { authorize: _, ...options }: JoinOptions,
): Promise<Opening> {
  const last = await lastEvent(hub, topic);
  const compaction = compactionFor(last && latestProgress(last));
  return hub.open(head, { ...options, topics: topic, from: "start", compaction });
}

/**
 * Looks a run up for somebody who wants to read it, and waits a moment for one that is not there yet: its start may be
 * on its way. Who comes with a cursor has seen it already, so that it must be gone.
 */
export async function findToJoin(
  hub: Hub,
  topic: string,
  id: string,
  head: RequestHead,
  waitMs: number,
): Promise<FoundRun> {
  const found = await findRun(hub, topic, id);
  if (found.kind !== "unknown") return found;
  if (lastEventIdOf(head.header("last-event-id"), head.url) !== undefined) return { kind: "expired" };
  return (await firstEvent(hub, topic, waitMs)) ? findRun(hub, topic, id) : found;
}

/** Resolves to whether something was published to the topic in time. */
function firstEvent(hub: Hub, topic: string, waitMs: number): Promise<boolean> {
  if (waitMs === 0) return Promise.resolve(false);
  return new Promise((resolve, reject) => {
    const settle = (came: boolean): void => {
      clearTimeout(timer);
      unsubscribe();
      resolve(came);
    };
    const timer = setTimeout(() => settle(false), waitMs);
    const unsubscribe = hub.subscribe(topic, () => settle(true), { from: "start" });
    unsubscribe.ready.catch((error: unknown) => {
      clearTimeout(timer);
      reject(error);
    });
  });
}

export function missingError(id: string, { kind }: Exclude<FoundRun, { kind: "run" }>): EverstreamError {
  const name = JSON.stringify(id);
  return kind === "expired"
    ? new EverstreamError("RUN_EXPIRED", `The run ${name} is no longer kept.`)
    : new EverstreamError("UNKNOWN_RUN", `There is no run ${name}.`);
}

/** The answer where there is no run, or none any more. */
export function missing(id: string, found: Exclude<FoundRun, { kind: "run" }>): RunRefusal {
  return refusal(found.kind === "expired" ? 410 : 404, missingError(id, found));
}

/** The answer to a client that may not read a run. */
export function forbidden(): RunRefusal {
  return refusal(403, { code: "FORBIDDEN", message: "This run is not yours." });
}

/** The answer where the runs, or their log, can't be asked: as the hub's own. */
export function comeBack(head: RequestHead, error: unknown): Opening {
  const isOver = isClosed(error);
  if (!isOver) report("A run's stream could not be opened", error);
  const reason = isOver ? "closing" : "failed";
  return closing(
    reason,
    { retryMs: () => Math.round(Math.random() * MAX_RETRY_MS) },
    head,
    EVENT_STREAM_HEADERS,
  ).answer;
}

function refusal(status: 403 | 404 | 410, { code, message }: { code: string; message: string }): RunRefusal {
  return {
    kind: "response",
    status,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ error: message, code }),
  };
}

/** How sessions end whose clients have gone away for good, for all one can tell. The others are expected back. */
const LEFT: readonly CloseReason[] = ["disconnected", "cancelled", "write-failed", "aborted", "kicked"];

/**
 * Which runs have readers in this process. Sessions that the server has ended, because it goes down, because the client
 * took nothing, because of the session's age, do not count as left: their clients come back.
 */
export class Watchers {
  readonly #open = new Map<string, number>();
  readonly #onChange: (id: string, watched: boolean, isAwaited: boolean) => void;

  constructor(onChange: (id: string, watched: boolean, isAwaited: boolean) => void) {
    this.#onChange = onChange;
  }

  get size(): number {
    return this.#open.size;
  }

  add(id: string, session: Session): void {
    const count = this.#open.get(id) ?? 0;
    this.#open.set(id, count + 1);
    if (count === 0) this.#onChange(id, true, true);
    session.onClose((reason) => {
      const left = (this.#open.get(id) ?? 1) - 1;
      if (left > 0) {
        this.#open.set(id, left);
        return;
      }
      this.#open.delete(id);
      this.#onChange(id, false, !LEFT.includes(reason));
    });
  }
}
