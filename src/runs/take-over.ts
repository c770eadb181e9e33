import { EverstreamError, isEverstreamError } from "../errors.ts";
import type { Hub, HubEvent } from "../hub/index.ts";
import { report } from "../session/report.ts";
import { findRun, lastEvent, latestProgress, readWritten } from "./find.ts";
import { type Ending, endingEvent, noteOf, RUN_EVENT, retentionFor, startNoteOf } from "./names.ts";
import type { RunsOptions, RunsSettings } from "./options.ts";
import { type StepShares, stepShares } from "./progress.ts";
import type { Produce, RunInfo } from "./types.ts";

/** A run that has lost its producer, and what is needed to go on with it. */
export interface TakenOver {
  readonly info: RunInfo;
  readonly produce: Produce;
  /** The position of this process' first event there. */
  readonly last: string;
  readonly lastProgress: string | undefined;
  readonly written: number;
  readonly reached: number;
  readonly shares: StepShares;
}

/** Another process wrote in between: what was read is old by now. */
const MAX_TRIES = 20;

/**
 * Publishes to a run's topic that another process has written to, after its newest event. Resolves to that event and the
 * new one's position; to `undefined` where the run has ended or never began.
 */
async function publishAfterLast(
  hub: Hub,
  topic: string,
  settings: RunsSettings,
  ageMs: number,
  eventAfter: (last: HubEvent) => {
    event: { type: string; data: unknown; meta: Record<string, string> };
    finish: boolean;
  },
): Promise<{ last: HubEvent; id: string } | undefined> {
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const last = await lastEvent(hub, topic);
    if (last === undefined) return undefined;
    const { event, finish } = eventAfter(last);
    const retention = retentionFor(settings, ageMs);
    try {
      const id = await hub.publish(topic, event, { expectLast: last.id, finish, retention, unchecked: true });
      return { last, id };
    } catch (error) {
      if (isEverstreamError(error, "TOPIC_FINISHED")) return undefined;
      if (!isEverstreamError(error, "CONFLICT")) throw error;
    }
  }
  throw new EverstreamError(
    "CONFLICT",
    `The run's topic ${JSON.stringify(topic)} is being written to all the time.`,
  );
}

/** Ends a run that has lost its producer. Where it has ended already, that end stays. */
export async function endFor(
  hub: Hub,
  topic: string,
  settings: RunsSettings,
  startedAt: number,
  ending: Ending,
): Promise<void> {
  await publishAfterLast(hub, topic, settings, Date.now() - startedAt, () => ({
    event: endingEvent(ending),
    finish: true,
  }));
}

/**
 * Takes the right to write to a run from whoever had it, then asks `onAbandoned` how to go on. Resolves to `undefined`
 * where nobody goes on; the run is to be ended then, unless it has been.
 */
export async function takeOver(
  hub: Hub,
  topic: string,
  id: string,
  settings: RunsSettings,
  onAbandoned: NonNullable<RunsOptions["onAbandoned"]>,
): Promise<TakenOver | undefined> {
  const found = await findRun(hub, topic, id);
  if (found.kind !== "run" || found.info.state !== "running") return undefined;
  const { info } = found;
  const first = (await hub.read(topic, { limit: 1 })).events[0];
  const note = first === undefined ? {} : startNoteOf(first);
  const meta = noteOf(note);
  const ageMs = Date.now() - info.startedAt + settings.maxDurationMs;
  const fence = await publishAfterLast(hub, topic, settings, ageMs, (last) => {
    const progress = latestProgress(last);
    return {
      event: {
        type: RUN_EVENT,
        data: { id, state: "running" },
        meta: { ...meta, ...(progress !== undefined && { progress }) },
      },
      finish: false,
    };
  });
  if (fence === undefined) return undefined;
  // From here on nobody else can write: the text is complete.
  const { text, written, reached } = await readWritten(hub, topic);
  const produce = await ask(onAbandoned, info, text);
  if (produce === undefined) return undefined;
  const shares = stepShares(note.steps?.map(([name, weight]) => ({ name, weight })));
  return {
    info,
    produce,
    written,
    reached,
    shares,
    last: fence.id,
    lastProgress: latestProgress(fence.last),
  };
}

async function ask(
  onAbandoned: NonNullable<RunsOptions["onAbandoned"]>,
  info: RunInfo,
  text: string,
): Promise<Produce | undefined> {
  try {
    return await onAbandoned(info, text);
  } catch (error) {
    report("`onAbandoned` failed, and the run ends", error);
    return undefined;
  }
}
