/**
 * What the control topic's events come to. Every process applies the same events in the same order and so comes to the
 * same state; nothing here looks at a clock or asks anybody.
 */

/** A run that has not ended. */
export interface RunRecord {
  readonly id: string;
  /** Tells this run from another one that had the id before. */
  readonly token: string;
  /** The process that has it. */
  readonly node: string;
  readonly key?: string | undefined;
  readonly stopAfterMs?: number | undefined;
  /** Somebody wants it stopped. */
  readonly stop?: boolean;
  /** The processes that have readers of it; told only where `stopAfterMs` asks for it. */
  readonly watchers?: readonly string[];
  /** Readers have come, and the last that went was sent away by a server, so that it will be back. */
  readonly isAwaited?: boolean;
  /** The position at which its process took it. */
  readonly since: string;
}

/** The control topic's events. */
export type ControlEvent =
  /** `node` wants to start a run. It is granted, or not, where it stands in the order. */
  | {
      readonly type: "claim";
      readonly data: {
        readonly id: string;
        readonly token: string;
        readonly node: string;
        readonly key?: string | undefined;
        /** Stop the run that has the key. */
        readonly replace?: boolean;
        readonly stopAfterMs?: number | undefined;
      };
    }
  /** `node` takes a run over from `from`. */
  | {
      readonly type: "adopt";
      readonly data: { readonly id: string; readonly node: string; readonly from: string };
    }
  | { readonly type: "ended"; readonly data: { readonly id: string; readonly token: string } }
  | { readonly type: "stop"; readonly data: { readonly id: string } }
  | {
      readonly type: "watch";
      readonly data: {
        readonly id: string;
        readonly node: string;
        readonly watched: boolean;
        /** The last reader there will be back. */
        readonly isAwaited: boolean;
      };
    }
  /** `node` lives. */
  | { readonly type: "beat"; readonly data: { readonly node: string } }
  /** `node` goes, and leaves its runs to the others. */
  | { readonly type: "leave"; readonly data: { readonly node: string } }
  /** All that is not said after it, so that what is before it can go. A long one takes several events. */
  | { readonly type: "snapshot"; readonly data: Snapshot };

export interface Snapshot {
  readonly isFirst: boolean;
  readonly isLast: boolean;
  readonly runs: readonly RunRecord[];
  readonly stops: readonly (readonly [id: string, time: number])[];
}

export type ClaimOutcome = "won" | "joined" | "busy";

/** How long a stop waits for its start. */
const STOP_MEMORY_MS = 5 * 60 * 1000;
/** How many do; over it the oldest are forgotten. */
const MAX_STOPS = 10_000;
/** What one event of a snapshot holds, so that it stays far below the largest event. */
const SNAPSHOT_PART = 500;

export class RegistryState {
  readonly runs = new Map<string, RunRecord>();
  /** Which run has a key: the one with it that nobody wants stopped. */
  readonly #keys = new Map<string, string>();
  /** Stops that came before their run, with their times, oldest first. */
  readonly #stops = new Map<string, number>();
  /** What has come of a snapshot. */
  #parts: Snapshot[] = [];

  /**
   * @param position Where the event stands.
   * @param time When it was published: what is long ago is judged by the log's own times.
   */
  apply({ type, data }: ControlEvent, position: string, time: number): ClaimOutcome | undefined {
    switch (type) {
      case "claim":
        return this.#claim(data, position, time);
      case "adopt": {
        const run = this.runs.get(data.id);
        if (run?.node === data.from) this.runs.set(run.id, { ...run, node: data.node, since: position });
        return undefined;
      }
      case "ended": {
        const run = this.runs.get(data.id);
        if (run?.token === data.token) this.#remove(run);
        return undefined;
      }
      case "stop":
        this.#stop(data.id, time);
        return undefined;
      case "watch":
        this.#watch(data);
        return undefined;
      case "snapshot":
        this.#restore(data);
        return undefined;
      default:
        return undefined;
    }
  }

  snapshot(): { type: "snapshot"; data: Snapshot }[] {
    const runs = [...this.runs.values()];
    const stops = [...this.#stops];
    const parts = Math.max(1, Math.ceil(Math.max(runs.length, stops.length) / SNAPSHOT_PART));
    return Array.from({ length: parts }, (_, index) => {
      const from = index * SNAPSHOT_PART;
      const to = from + SNAPSHOT_PART;
      return {
        type: "snapshot",
        data: {
          isFirst: index === 0,
          isLast: index === parts - 1,
          runs: runs.slice(from, to),
          stops: stops.slice(from, to),
        },
      };
    });
  }

  clear(): void {
    this.runs.clear();
    this.#keys.clear();
    this.#stops.clear();
    this.#parts = [];
  }

  #claim(
    { replace = false, ...claim }: Extract<ControlEvent, { type: "claim" }>["data"],
    position: string,
    time: number,
  ): ClaimOutcome {
    if (this.runs.has(claim.id)) return "joined";
    const holder = claim.key === undefined ? undefined : this.#holderOf(claim.key);
    if (holder !== undefined && !replace) return "busy";
    if (holder !== undefined) this.#markStopped(holder);
    const stoppedAt = this.#stops.get(claim.id);
    this.#stops.delete(claim.id);
    const stop = stoppedAt !== undefined && time - stoppedAt < STOP_MEMORY_MS;
    this.#add({ ...claim, since: position, ...(stop && { stop }) });
    return "won";
  }

  #holderOf(key: string): RunRecord | undefined {
    const id = this.#keys.get(key);
    return id === undefined ? undefined : this.runs.get(id);
  }

  #stop(id: string, time: number): void {
    const run = this.runs.get(id);
    if (run !== undefined) {
      this.#markStopped(run);
      return;
    }
    this.#stops.delete(id);
    this.#stops.set(id, time);
    for (const [oldest, at] of this.#stops) {
      if (this.#stops.size <= MAX_STOPS && time - at < STOP_MEMORY_MS) return;
      this.#stops.delete(oldest);
    }
  }

  #watch({ id, node, watched, isAwaited }: Extract<ControlEvent, { type: "watch" }>["data"]): void {
    const run = this.runs.get(id);
    if (run === undefined) return;
    const others = (run.watchers ?? []).filter((watcher) => watcher !== node);
    this.runs.set(id, { ...run, watchers: watched ? [...others, node] : others, isAwaited });
  }

  #restore(part: Snapshot): void {
    // Until it is complete, what was known stays.
    if (part.isFirst) this.#parts = [];
    this.#parts.push(part);
    if (!part.isLast) return;
    const parts = this.#parts;
    this.clear();
    for (const { runs, stops } of parts) {
      for (const run of runs) this.#add(run);
      for (const [id, time] of stops) this.#stops.set(id, time);
    }
  }

  #add(run: RunRecord): void {
    this.runs.set(run.id, run);
    if (run.key !== undefined && run.stop !== true) this.#keys.set(run.key, run.id);
  }

  #markStopped(run: RunRecord): void {
    this.#freeKey(run);
    this.runs.set(run.id, { ...run, stop: true });
  }

  #remove(run: RunRecord): void {
    this.#freeKey(run);
    this.runs.delete(run.id);
  }

  #freeKey({ id, key }: RunRecord): void {
    if (key !== undefined && this.#keys.get(key) === id) this.#keys.delete(key);
  }
}
