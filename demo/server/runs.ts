import { createHash } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import {
  createRuns,
  type Hub,
  type HubEvent,
  isEverstreamError,
  type RunInfo,
  type Runs,
  type RunsOptions,
} from "everstream";
import type { Hono } from "hono";
import { explain } from "./chat/provider-error.ts";
import { complain } from "./complain.ts";
import type { DemoEnv } from "./http.ts";
import { answerTopic } from "./topic.ts";
import { Refused } from "./uploads/process.ts";

/** How long answers and results can be read after their end. */
export const KEEP_FOR_MS = 7 * 24 * 60 * 60 * 1000;

/** What is shown to everybody of the work that this server does: no content, and no id that would open it. */
const ACTIVITY = "activity";
/** How many of its latest events. */
const SHOWN = 50;

export type RunKind = "answer" | "upload";

/** Runs, and the list of them that everybody may see. */
export interface Work {
  readonly hub: Hub;
  readonly runs: Runs;
  /** Shows a run that was started in the list, until its end. */
  show(kind: RunKind, id: string): Promise<void>;
  /** Adds `GET /runs`: the list as events, the latest of them. */
  addRoutes(api: Hono<DemoEnv>): void;
  /** Sees to it that every run of the list is shown as ended, whichever server had it. Resolves once that has begun. */
  watch(): Promise<void>;
}

interface Activity {
  readonly label: string;
  readonly kind: RunKind;
  readonly state: RunInfo["state"];
}

/** Where an activity's meta hold the run's id, which clients must not see. */
const RUN = "run";
const RETRY_MS = 1000;

/** @param options What is special about a cluster's runs. */
export function createWork(hub: Hub, options: Pick<RunsOptions, "lease" | "onAbandoned"> = {}): Work {
  const runs = createRuns({
    ...options,
    hub,
    keepFor: KEEP_FOR_MS,
    onError: (error) => {
      if (error instanceof Refused) return error.refusal;
      complain("a run failed", error);
      return explain(error);
    },
  });

  /** `publishId`: every server of the log says the same of a run, and it is to be said once. */
  const publish = (activity: Activity, id: string): Promise<string> =>
    hub.publish(
      ACTIVITY,
      { type: "run", data: activity, key: activity.label, meta: { [RUN]: id } },
      { retention: { maxEvents: SHOWN }, publishId: `${activity.state}:${id}` },
    );

  /** Every server waits for every run's end: the one that had it may be gone by then. */
  const showEnd = async ({ data, meta }: HubEvent): Promise<void> => {
    const activity = data as Activity;
    const id = meta[RUN];
    if (activity.state !== "running" || id === undefined) return;
    for (;;) {
      try {
        await publish({ ...activity, state: await stateAtEnd(runs, id) }, id);
        return;
      } catch (error) {
        if (isEverstreamError(error, "HUB_CLOSED") || isEverstreamError(error, "LOG_CLOSED")) return;
        // The log can't be reached, which it will be again.
        await delay(RETRY_MS, undefined, { ref: false });
      }
    }
  };

  return {
    hub,
    runs,

    async show(kind, id) {
      await publish({ label: labelOf(id), kind, state: "running" }, id);
    },

    addRoutes(api) {
      api.get("/runs", (c) => answerTopic(c, hub, ACTIVITY, SHOWN));
    },

    async watch() {
      const { events, position } = await hub.read(ACTIVITY, { last: SHOWN });
      const latest = new Map(events.map((event) => [event.key, event]));
      for (const event of latest.values()) void showEnd(event);
      await hub.subscribe(ACTIVITY, showEnd, { after: position }).ready;
    },
  };
}

/** How a run ended, once it has. One that is no longer known has lost its server long ago. */
async function stateAtEnd(runs: Runs, id: string): Promise<RunInfo["state"]> {
  try {
    return (await runs.ended(id)).state;
  } catch (error) {
    if (isEverstreamError(error, "UNKNOWN_RUN") || isEverstreamError(error, "RUN_EXPIRED"))
      return "abandoned";
    throw error;
  }
}

/** A name for a run that tells nobody its id, which is what opens it. */
function labelOf(id: string): string {
  return createHash("sha256").update(id).digest("hex").slice(0, 6);
}
