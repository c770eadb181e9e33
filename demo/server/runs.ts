import { createHash } from "node:crypto";
import { createRuns, type Hub, type RunInfo, type Runs } from "everstream";
import type { Hono } from "hono";
import { explain } from "./chat/provider-error.ts";
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
  /** Resolves when the runs of a process that is gone are shown as ended. */
  catchUp(): Promise<void>;
}

interface Activity {
  readonly label: string;
  readonly kind: RunKind;
  readonly state: RunInfo["state"];
}

export function createWork(hub: Hub): Work {
  const runs = createRuns({
    hub,
    keepFor: KEEP_FOR_MS,
    onError: (error) => {
      if (error instanceof Refused) return error.refusal;
      console.error("a run failed:", error);
      return explain(error);
    },
  });

  const publish = (activity: Activity): Promise<string> =>
    hub.publish(
      ACTIVITY,
      { type: "run", data: activity, key: activity.label },
      { retention: { maxEvents: SHOWN } },
    );

  const showEnd = async (activity: Activity, id: string): Promise<void> => {
    const { state } = await runs.ended(id);
    await publish({ ...activity, state });
  };

  return {
    hub,
    runs,

    async show(kind, id) {
      const activity: Activity = { label: labelOf(id), kind, state: "running" };
      await publish(activity);
      // A run that the server's own end cuts off is shown as ended by the next one.
      showEnd(activity, id).catch(() => undefined);
    },

    addRoutes(api) {
      api.get("/runs", (c) => answerTopic(c, hub, ACTIVITY, SHOWN));
    },

    async catchUp() {
      const { events } = await hub.read(ACTIVITY, { last: SHOWN });
      const latest = new Map(events.map(({ data }) => [(data as Activity).label, data as Activity]));
      const alive = new Set((await runs.running()).map(labelOf));
      for (const activity of latest.values()) {
        const isGone = activity.state === "running" && !alive.has(activity.label);
        if (isGone) await publish({ ...activity, state: "abandoned" });
      }
    },
  };
}

/** A name for a run that tells nobody its id, which is what opens it. */
function labelOf(id: string): string {
  return createHash("sha256").update(id).digest("hex").slice(0, 6);
}
