import type { Hub } from "../hub/index.ts";
import type { ErrorData } from "../protocol/index.ts";
import { report } from "../session/report.ts";
import { isClosed, isExpectedLoss } from "./closed.ts";
import { findRun } from "./find.ts";
import { Leases } from "./lease.ts";
import { LocalRun } from "./local-run.ts";
import { ABANDONED, type Names, retentionFor, STOPPED } from "./names.ts";
import type { RunsOptions, RunsSettings, StartSettings } from "./options.ts";
import { Registry } from "./registry.ts";
import type { RunRecord } from "./registry-state.ts";
import { endFor, takeOver } from "./take-over.ts";
import type { Produce, RunInfo, RunState } from "./types.ts";
import { within } from "./within.ts";
import { RunWriter } from "./writer.ts";

export interface KeeperOptions {
  readonly hub: Hub;
  readonly names: Names;
  readonly settings: RunsSettings;
  readonly onAbandoned: RunsOptions["onAbandoned"];
  readonly explain: (error: unknown, info: RunInfo) => ErrorData | undefined;
  /** Whether this process has readers that count. */
  readonly isWatching: () => boolean;
}

/** Where a producer begins to write. */
export interface Beginning extends Pick<StartSettings, "shares" | "stopAfterMs"> {
  readonly last: string;
  readonly lastProgress: string | undefined;
  readonly written: number;
  /** How far the work has come, of 1. */
  readonly reached: number;
}

/** Keeps this process' runs alive, and sees to those whose process is gone. */
export class Keeper {
  readonly registry: Registry;
  readonly #options: KeeperOptions;
  readonly #leases: Leases;
  readonly #local = new Map<string, LocalRun>();
  /** Runs of this process that are only being started or taken over. */
  readonly #starting = new Map<string, number>();
  /** Runs whose end is being seen to. */
  readonly #burying = new Set<string>();
  /** Starts that are under way. */
  readonly #starts = new Set<Promise<unknown>>();
  #closing = false;

  constructor(options: KeeperOptions) {
    this.#options = options;
    this.registry = new Registry(options.hub, options.names.control, {
      onSign: (node) => this.#leases.sign(node),
      onLeave: (node) => this.#leases.expire(node),
      onChange: (id) => this.onChange(id),
      onReset: () => this.#onReset(),
    });
    this.#leases = new Leases(options.settings.leaseMs, {
      isNeeded: () => this.#local.size > 0 || this.#starting.size > 0 || options.isWatching(),
      renew: async () => {
        await this.registry.tell({ type: "beat", data: { node: this.registry.node } });
      },
      check: () => this.#check(),
    });
    this.#open();
  }

  local(id: string): LocalRun | undefined {
    return this.#local.get(id);
  }

  /** Does `work`, which starts a run. `close` waits for it. */
  async start<Result>(id: string, work: () => Promise<Result>): Promise<Result> {
    const start = this.starting(id, work);
    this.#starts.add(start);
    try {
      return await start;
    } finally {
      this.#starts.delete(start);
    }
  }

  /**
   * Lets a run work that stands in the log; in a process that is closing, it goes the way of the others here. Resolves to
   * how it stands with it.
   */
  async begin(run: LocalRun, produce: Produce): Promise<RunState> {
    if (this.#closing) {
      await this.#letGo(run);
      return this.#options.onAbandoned === undefined ? "abandoned" : "running";
    }
    if (this.registry.runs.get(run.id)?.stop === true) {
      await run.stop();
      return "stopped";
    }
    run.begin(produce);
    this.onChange(run.id);
    return "running";
  }

  /** Does `work` while the run counts as this process'. */
  async starting<Result>(id: string, work: () => Promise<Result>): Promise<Result> {
    this.#starting.set(id, (this.#starting.get(id) ?? 0) + 1);
    try {
      return await work();
    } finally {
      const left = (this.#starting.get(id) ?? 1) - 1;
      if (left > 0) this.#starting.set(id, left);
      else this.#starting.delete(id);
    }
  }

  /** Makes the run that writes from `beginning` on. It is to be begun, or stopped. */
  add(info: RunInfo, token: string, beginning: Beginning): LocalRun {
    const { hub, names, settings, explain } = this.#options;
    const ageNow = (): number => Date.now() - info.startedAt;
    const writer = new RunWriter({
      hub,
      topic: names.topicOf(info.id),
      retention: retentionFor(settings, ageNow() + settings.maxDurationMs),
      retentionAtEnd: () => retentionFor(settings, ageNow()),
      last: beginning.last,
      lastProgress: beginning.lastProgress,
      name: crypto.randomUUID(),
      patienceMs: settings.leaseMs,
      onLost: (error) => {
        if (!isExpectedLoss(error)) report(`The run ${JSON.stringify(info.id)} could not be written`, error);
        run.lose(error);
      },
    });
    const run: LocalRun = new LocalRun({
      ...info,
      ...beginning,
      writer,
      maxDurationMs: settings.maxDurationMs,
      maxOutput: settings.maxOutput,
      firstReaderMs: settings.joinWaitMs,
      explain: (error) => explain(error, info),
      onOver: async (isEnded) => {
        if (!isEnded) {
          this.#forget(run);
          return;
        }
        await this.#try(() => this.registry.tell({ type: "ended", data: { id: info.id, token } }));
        this.#forget(run);
      },
    });
    this.#local.set(info.id, run);
    return run;
  }

  /** Whether it matters to the run who reads it. */
  countsReaders(id: string): boolean {
    return this.registry.runs.get(id)?.stopAfterMs !== undefined;
  }

  setWatched(id: string, watched: boolean, isAwaited: boolean): void {
    const { node } = this.registry;
    void this.#try(() => this.registry.tell({ type: "watch", data: { id, node, watched, isAwaited } }));
  }

  /** Looks at what has become of a run. */
  onChange(id: string): void {
    const run = this.#local.get(id);
    if (run === undefined) return;
    const record = this.registry.runs.get(id);
    if (record === undefined || record.node !== this.registry.node) {
      if (!this.#starting.has(id)) run.lose("another process has it");
      return;
    }
    if (record.stop === true) void run.stop();
    run.setWatched((record.watchers ?? []).length > 0 || record.isAwaited === true);
  }

  /**
   * Sees to a run that the log holds as running and of which no process says that it has it: what was known of it is lost.
   */
  async verify({ id, state, startedAt }: RunInfo): Promise<void> {
    if (state !== "running" || this.registry.runs.has(id) || this.#starting.has(id)) return;
    // Fails where these runs are closed before it is known: what is running elsewhere is not for them to say.
    await this.registry.catchUp();
    if (this.registry.runs.has(id) || this.#starting.has(id)) return;
    const { hub, names, settings } = this.#options;
    await endFor(hub, names.topicOf(id), settings, startedAt, ABANDONED);
  }

  async close(withinMs: number): Promise<void> {
    await within(withinMs, () => Promise.all([...this.#local.values()].map((run) => run.over)));
    this.#closing = true;
    this.#leases.close();
    await Promise.all([...this.#local.values()].map((run) => this.#letGo(run)));
    this.registry.close();
    // Those that were granted have let go of their runs then. A log that gives no answer is not waited for any longer.
    await within(this.#options.settings.leaseMs, () => Promise.allSettled(this.#starts));
    await this.#try(async () => {
      if (this.#options.onAbandoned === undefined) return;
      await this.registry.tell({ type: "leave", data: { node: this.registry.node } });
    });
  }

  /** Ends a run as abandoned, or leaves it to other processes. */
  #letGo(run: LocalRun): Promise<void> {
    return this.#options.onAbandoned === undefined ? run.abandon() : run.leave();
  }

  #open(): void {
    void this.#try(async () => {
      await this.registry.ready();
      const { hub } = this.#options;
      for (const record of [...this.registry.runs.values()]) {
        if (await hub.outlived(record.since)) this.#leases.expire(record.node);
      }
      this.#check();
    });
  }

  #onReset(): void {
    for (const id of [...this.#local.keys()]) this.onChange(id);
  }

  /** Sees which runs have lost their process. */
  #check(): void {
    if (this.#closing) return;
    for (const record of this.registry.runs.values()) {
      const isOurs = record.node === this.registry.node;
      const isLost = isOurs
        ? !this.#local.has(record.id) && !this.#starting.has(record.id)
        : this.#leases.isExpired(record.node);
      if (isLost) this.#bury(record);
      else if (isOurs) this.#forgetWatchers(record);
    }
  }

  /** Readers in processes that are gone come back elsewhere. */
  #forgetWatchers({ id, watchers = [], isAwaited = false }: RunRecord): void {
    for (const node of watchers) {
      if (node === this.registry.node || !this.#leases.isExpired(node)) continue;
      void this.#try(() =>
        this.registry.tell({ type: "watch", data: { id, node, watched: false, isAwaited } }),
      );
    }
  }

  #bury(record: RunRecord): void {
    if (this.#burying.has(record.id)) return;
    this.#burying.add(record.id);
    void this.#try(() => this.#seeToEnd(record)).finally(() => this.#burying.delete(record.id));
  }

  async #seeToEnd(record: RunRecord): Promise<void> {
    if (record.node !== this.registry.node) {
      // Its process may have shown that it lives, and only we have not seen it yet.
      await this.registry.lookAhead();
      if (!this.#leases.isExpired(record.node)) return;
    }
    // The others see to it.
    if (this.#closing) return;
    const { hub, names, settings, onAbandoned } = this.#options;
    const { id, token, stop } = record;
    const topic = names.topicOf(id);
    if (onAbandoned !== undefined && stop !== true) {
      if (await this.starting(id, () => this.#takeOver(record, onAbandoned))) return;
      // Another process has been quicker.
      if (this.registry.runs.get(id)?.node !== this.registry.node) return;
    }
    const found = await findRun(hub, topic, id);
    if (found.kind === "run" && found.info.state === "running") {
      await endFor(hub, topic, settings, found.info.startedAt, stop === true ? STOPPED : ABANDONED);
    }
    await this.registry.tell({ type: "ended", data: { id, token } });
  }

  /** Resolves to whether the run goes on here. */
  async #takeOver(
    { id, token, node, stopAfterMs }: RunRecord,
    onAbandoned: NonNullable<RunsOptions["onAbandoned"]>,
  ): Promise<boolean> {
    const { hub, names, settings } = this.#options;
    if ((await this.registry.adopt(id, node)) === undefined) return false;
    const taken = await takeOver(hub, names.topicOf(id), id, settings, onAbandoned);
    if (taken === undefined) return false;
    const run = this.add(taken.info, token, { ...taken, stopAfterMs });
    await this.begin(run, taken.produce);
    return true;
  }

  #forget(run: LocalRun): void {
    if (this.#local.get(run.id) === run) this.#local.delete(run.id);
  }

  /** What fails here is tried again by the next check, or by another process. */
  async #try(work: () => Promise<unknown>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!isClosed(error) && !this.#closing) report("The state of a run could not be kept", error);
    }
  }
}
