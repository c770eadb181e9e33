import type { Hub, HubEvent } from "../hub/index.ts";
import { PROGRESS_EVENT, TOKEN_EVENT } from "../protocol/index.ts";
import { infoOf, PROGRESS_NOTE, RUN_EVENT } from "./names.ts";
import { reachedBy } from "./progress.ts";
import type { FoundRun } from "./types.ts";

export async function findRun(hub: Hub, topic: string, id: string): Promise<FoundRun> {
  const start = await hub.read(topic, { limit: 1 });
  if (!start.known) return { kind: "unknown" };
  const [first] = start.events;
  if (first?.type !== RUN_EVENT) return { kind: "expired" };
  const last = start.finished ? await lastEvent(hub, topic) : undefined;
  const info = infoOf(id, first, last);
  return info === undefined ? { kind: "expired" } : { kind: "run", info };
}

/** A topic's newest event, if any is kept. */
export async function lastEvent(hub: Hub, topic: string): Promise<HubEvent | undefined> {
  const { events } = await hub.read(topic, { last: 1 });
  return events[0];
}

/** The position of the latest progress at or before a topic's newest event, as its writer has noted it. */
export function latestProgress(last: HubEvent): string | undefined {
  return last.type === PROGRESS_EVENT ? last.id : last.meta[PROGRESS_NOTE];
}

/** What a run has written so far. */
export interface Written {
  readonly text: string;
  /** How many characters its events take. */
  readonly written: number;
  /** How far its work has come, of 1. */
  readonly reached: number;
}

export async function readWritten(hub: Hub, topic: string): Promise<Written> {
  let text = "";
  let written = 0;
  let reached = 0;
  let after: string | undefined;
  for (let complete = false; !complete; ) {
    const page = await hub.read(topic, { after });
    for (const { type, data } of page.events) {
      const content = type === TOKEN_EVENT ? contentOf(data) : undefined;
      if (content !== undefined) text += content;
      else if (type === PROGRESS_EVENT) reached = Math.max(reached, reachedBy(data));
      else if (type !== RUN_EVENT) written += JSON.stringify(data ?? "").length;
    }
    after = page.position;
    complete = page.complete;
  }
  return { text, written: written + text.length, reached };
}

/** The text of a token event that holds nothing else. */
export function contentOf(data: unknown): string | undefined {
  if (typeof data !== "object" || data === null) return undefined;
  const { content, ...rest } = data as { content?: unknown };
  return typeof content === "string" && Object.keys(rest).length === 0 ? content : undefined;
}
