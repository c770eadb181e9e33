import { EverstreamError, isEverstreamError } from "../errors.ts";
import type { Hub } from "../hub/index.ts";
import { isClosed } from "./closed.ts";
import { findRun } from "./find.ts";
import { missingError } from "./join.ts";
import type { Keeper } from "./keeper.ts";
import { type Names, noteOf, RUN_EVENT, retentionFor } from "./names.ts";
import type { RunsSettings, StartSettings } from "./options.ts";
import type { RunRecord } from "./registry-state.ts";
import type { RunInfo, StartedRun } from "./types.ts";

/** How often a claim is repeated when the run that had the key turns out to have ended. */
const MAX_CLAIMS = 3;
const NOT_ENDED = { endedAt: undefined, error: undefined, result: undefined };

/** What a start needs of the runs that it is of. */
export interface StarterHost {
  readonly hub: Hub;
  readonly names: Names;
  readonly settings: RunsSettings;
  readonly keeper: Keeper;
}

/** Begins runs here that nobody else has begun: claims them among all processes of the log, and writes what comes first. */
export class Starter {
  readonly #hub: Hub;
  readonly #names: Names;
  readonly #settings: RunsSettings;
  readonly #keeper: Keeper;

  constructor({ hub, names, settings, keeper }: StarterHost) {
    this.#hub = hub;
    this.#names = names;
    this.#settings = settings;
    this.#keeper = keeper;
  }

  /** @throws EverstreamError `RUN_BUSY`, `RUN_EXPIRED`. */
  async start(settings: StartSettings): Promise<StartedRun> {
    const { id, key, input } = settings;
    const token = await this.#claim(settings);
    if (token === undefined) return { id, state: "running", joined: true };
    let last: string;
    try {
      last = await this.#publishStart(settings, token);
    } catch (error) {
      await this.#keeper.registry.tell({ type: "ended", data: { id, token } });
      if (!isEverstreamError(error, "CONFLICT") && !isEverstreamError(error, "TOPIC_FINISHED")) throw error;
      // The id was used between our look at it and the claim.
      const found = await findRun(this.#hub, this.#names.topicOf(id), id);
      if (found.kind === "run") return joined(found.info);
      throw missingError(id, { kind: "expired" });
    }
    const info: RunInfo = { id, key, input, state: "running", startedAt: Date.now(), ...NOT_ENDED };
    const { shares, stopAfterMs } = settings;
    const isOurs = await this.#isStillOurs(id, token);
    const run = this.#keeper.add(info, token, {
      last,
      lastProgress: undefined,
      written: 0,
      reached: 0,
      shares,
      stopAfterMs,
    });
    if (isOurs) return { id, state: await this.#keeper.begin(run, settings.produce), joined: false };
    await run.abandon();
    return { id, state: "abandoned", joined: false };
  }

  /** A process may have slept for a lease since a run was granted to it, and another run may have the key. */
  async #isStillOurs(id: string, token: string): Promise<boolean> {
    const { registry } = this.#keeper;
    try {
      await registry.catchUp();
    } catch (error) {
      // The keeper lets go of it.
      if (isClosed(error)) return true;
      throw error;
    }
    const record = registry.runs.get(id);
    return record?.token === token && record.node === registry.node;
  }

  /** Resolves to the token of the run that may be started, or to `undefined` where somebody else starts it. */
  async #claim({ id, key, replace, stopAfterMs }: StartSettings): Promise<string | undefined> {
    const { registry } = this.#keeper;
    for (let tries = 0; tries < MAX_CLAIMS; tries++) {
      const token = crypto.randomUUID();
      const outcome = await registry.claim({ id, token, key, replace, stopAfterMs });
      if (outcome === "won") return token;
      if (outcome === "joined") return undefined;
      // Its end is in the log before all know of it, and whoever has seen the end may be here already.
      const holder = key === undefined ? undefined : holderOf(key, registry.runs);
      if (holder !== undefined && !(await this.#hasEnded(holder))) break;
    }
    throw new EverstreamError(
      "RUN_BUSY",
      `Another run has the key ${JSON.stringify(key)}; stop it, or replace it.`,
    );
  }

  /** Whether a run that counts as running has ended, which it then no longer does. */
  async #hasEnded({ id, token }: RunRecord): Promise<boolean> {
    const found = await findRun(this.#hub, this.#names.topicOf(id), id);
    if (found.kind !== "run" || found.info.state === "running") return false;
    await this.#keeper.registry.tell({ type: "ended", data: { id, token } });
    return true;
  }

  #publishStart({ id, key, input, stopAfterMs, shares }: StartSettings, token: string): Promise<string> {
    const steps =
      shares.size > 0 ? [...shares].map(([name, { share }]) => [name, share] as const) : undefined;
    return this.#hub.publish(
      this.#names.topicOf(id),
      { type: RUN_EVENT, data: { id, state: "running" }, meta: noteOf({ key, input, stopAfterMs, steps }) },
      {
        expectLast: null,
        publishId: token,
        unchecked: true,
        retention: retentionFor(this.#settings, this.#settings.maxDurationMs),
      },
    );
  }
}

/** The run that has a key among those that are running. */
export function holderOf(key: string, runs: ReadonlyMap<string, RunRecord>): RunRecord | undefined {
  return [...runs.values()].find((run) => run.key === key && run.stop !== true);
}

/** What a start gives that finds its run there. */
export function joined({ id, state }: RunInfo): StartedRun {
  return { id, state, joined: true };
}
