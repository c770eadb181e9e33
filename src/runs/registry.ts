import { EverstreamError, isEverstreamError } from "../errors.ts";
import type { Hub, HubEvent } from "../hub/index.ts";
import { GAP_EVENT, type GapData, parsePosition } from "../protocol/index.ts";
import { report } from "../session/report.ts";
import { type ClaimOutcome, type ControlEvent, RegistryState, type RunRecord } from "./registry-state.ts";

/** After so many events the control topic is cut down to a snapshot. */
const SNAPSHOT_EVENTS = 1000;
/** A snapshot is renewed after so long, so that it is never among the oldest events of a log that is short of memory. */
const SNAPSHOT_AGE_MS = 10 * 60 * 1000;
const RETRY_MS = 1000;

/** What a registry tells its process. */
export interface RegistryHost {
  /** The process `node` has written. */
  onSign(node: string): void;
  /** The process `node` has said that it goes. */
  onLeave(node: string): void;
  /** Something about a run has changed; it may be gone. */
  onChange(id: string): void;
  /** Anything may have changed. */
  onReset(): void;
}

interface Claim {
  readonly id: string;
  readonly resolve: (outcome: ClaimOutcome) => void;
}

/**
 * What the processes of a log know together of the runs that have not ended: the control topic, followed. Events there
 * decide by their order, who may start a run, who takes it over, whether a stop came before its start.
 *
 * The topic holds a snapshot and what came after it. Whoever finds that much has come writes the next snapshot, on the
 * condition that it knows of every event so far, and the log lets go of everything before in the same append. So the
 * topic holds what is running and at most {@link SNAPSHOT_EVENTS} events, however many runs there were.
 */
export class Registry {
  readonly node = crypto.randomUUID();
  readonly #hub: Hub;
  readonly #topic: string;
  readonly #host: RegistryHost;
  readonly #state = new RegistryState();
  readonly #claims = new Map<string, Claim>();
  #waiting: { readonly sequence: number; readonly resolve: () => void }[] = [];
  #position = "";
  #sequence = -1;
  #lookedThrough = "";
  #sinceSnapshot = 0;
  #snapshotAt = performance.now();
  #writingSnapshot = false;
  #opening: Promise<void> | undefined;
  #unsubscribe: () => void = () => undefined;
  #closed = false;

  constructor(hub: Hub, topic: string, host: RegistryHost) {
    this.#hub = hub;
    this.#topic = topic;
    this.#host = host;
  }

  get runs(): ReadonlyMap<string, RunRecord> {
    return this.#state.runs;
  }

  /** Resolves once everything that was written before is known. */
  ready(): Promise<void> {
    this.#opening ??= this.#open();
    return this.#opening;
  }

  /** Asks for a run. Resolves to what the log's order says. */
  async claim(claim: Omit<Extract<ControlEvent, { type: "claim" }>["data"], "node">): Promise<ClaimOutcome> {
    const { promise, resolve } = withResolver<ClaimOutcome>();
    this.#claims.set(claim.token, { id: claim.id, resolve });
    try {
      await this.tell({ type: "claim", data: { ...claim, node: this.node } });
      return await promise;
    } finally {
      this.#claims.delete(claim.token);
    }
  }

  /** Takes a run over. Resolves to the run as it is then, if that is this process'. */
  async adopt(id: string, from: string): Promise<RunRecord | undefined> {
    await this.#reach(await this.tell({ type: "adopt", data: { id, node: this.node, from } }));
    const run = this.runs.get(id);
    return run?.node === this.node ? run : undefined;
  }

  /** Resolves to the event's position when the log has it. */
  async tell(event: ControlEvent): Promise<string> {
    await this.ready();
    const id = await this.#hub.publish(this.#topic, event, { retention: KEEP_ALL, unchecked: true });
    if (this.#sinceSnapshot >= SNAPSHOT_EVENTS || this.#snapshotIsOld()) await this.#writeSnapshot();
    return id;
  }

  /** Tells the host of the signs of life, and their end, that the log holds and that have not come here by themselves yet. */
  async lookAhead(): Promise<void> {
    if (this.#position === "") return;
    // What was told once is no news: a process may have died since, and its last sign may never come here.
    let after = sequenceOf(this.#lookedThrough) > this.#sequence ? this.#lookedThrough : this.#position;
    for (let complete = false; !complete; ) {
      const page = await this.#hub.read(this.#topic, { after });
      for (const event of page.events) this.#tellOfSign(event);
      after = page.position;
      complete = page.complete;
    }
    this.#lookedThrough = after;
  }

  /** Resolves once everything is known that the log holds now. */
  async catchUp(): Promise<void> {
    await this.ready();
    const { events } = await this.#hub.read(this.#topic, { last: 1 });
    const last = events[0];
    if (last !== undefined) await this.#reach(last.id);
  }

  close(): void {
    this.#closed = true;
    this.#unsubscribe();
    this.#settle(Number.POSITIVE_INFINITY);
    for (const { resolve } of this.#claims.values()) resolve("busy");
  }

  async #open(): Promise<void> {
    while (!this.#closed) {
      try {
        await this.#read();
        return;
      } catch (error) {
        if (isClosed(error)) throw error;
        report("The state of runs could not be read, and will be tried again", error);
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
      }
    }
    throw new EverstreamError("HUB_CLOSED", "These runs were closed.");
  }

  /** Reads the topic from its start, and follows it from there on. */
  async #read(): Promise<void> {
    this.#state.clear();
    this.#position = "";
    this.#sequence = -1;
    this.#lookedThrough = "";
    this.#sinceSnapshot = 0;
    let after: string | undefined;
    for (let complete = false; !complete; ) {
      const page = await this.#hub.read(this.#topic, { after });
      for (const event of page.events) this.#apply(event);
      after = page.position;
      complete = page.complete;
    }
    this.#host.onReset();
    this.#settleClaims();
    const subscription = this.#hub.subscribe(this.#topic, (event) => this.#take(event), { after });
    this.#unsubscribe = subscription;
    await subscription.ready;
    if (this.#closed) subscription();
  }

  #take(event: HubEvent): void {
    if (event.type === GAP_EVENT) {
      // After a snapshot has let go of what was before it, the snapshot itself is what comes next.
      if ((event.data as GapData).reason !== "trimmed") this.#readAnew();
      return;
    }
    this.#apply(event);
    this.#tellOfSign(event);
    const data = event.data as { id?: string; replace?: boolean };
    // A claim that replaces concerns another run, too.
    if (event.type === "snapshot" || data.replace === true) this.#host.onReset();
    else if (data.id !== undefined) this.#host.onChange(data.id);
    this.#settle(this.#sequence);
  }

  #tellOfSign({ type, data }: HubEvent): void {
    const { node } = data as { node?: string };
    if (node === undefined) return;
    if (type === "leave") this.#host.onLeave(node);
    else this.#host.onSign(node);
  }

  #apply(event: HubEvent): void {
    const { type, data } = event as unknown as ControlEvent;
    const outcome = this.#state.apply({ type, data } as ControlEvent, event.id, event.time);
    this.#position = event.id;
    this.#sequence = sequenceOf(event.id);
    this.#sinceSnapshot++;
    if (type === "snapshot") {
      this.#sinceSnapshot = 0;
      this.#snapshotAt = performance.now();
      this.#settleClaims();
    } else if (type === "claim" && outcome !== undefined) {
      this.#claims.get(data.token)?.resolve(outcome);
    }
  }

  /** The log's data is not what it was: what is known is read again from its start. */
  #readAnew(): void {
    this.#unsubscribe();
    this.#opening = this.#open();
    this.#opening.catch((error: unknown) => {
      if (!isClosed(error)) report("The state of runs could not be read", error);
    });
  }

  /** Claims whose own event was not seen, since a snapshot came in its place. */
  #settleClaims(): void {
    for (const [token, { id, resolve }] of this.#claims) {
      const run = this.runs.get(id);
      if (run !== undefined) resolve(run.token === token ? "won" : "joined");
    }
  }

  #reach(position: string): Promise<void> {
    const sequence = sequenceOf(position);
    if (this.#closed || this.#sequence >= sequence) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.push({ sequence, resolve }));
  }

  #settle(sequence: number): void {
    if (this.#waiting.length === 0) return;
    const reached = this.#waiting.filter((waiting) => waiting.sequence <= sequence);
    this.#waiting = this.#waiting.filter((waiting) => waiting.sequence > sequence);
    for (const { resolve } of reached) resolve();
  }

  #snapshotIsOld(): boolean {
    return this.#sinceSnapshot > 0 && performance.now() - this.#snapshotAt > SNAPSHOT_AGE_MS;
  }

  async #writeSnapshot(): Promise<void> {
    if (this.#writingSnapshot) return;
    this.#writingSnapshot = true;
    try {
      const parts = this.#state.snapshot();
      const retention = { ...KEEP_ALL, maxEvents: parts.length };
      await this.#hub.publish(this.#topic, parts, { expectLast: this.#position, retention, unchecked: true });
    } catch (error) {
      // Somebody has written meanwhile: whoever writes next tries again.
      if (!isEverstreamError(error, "CONFLICT") && !isClosed(error)) {
        report("The state of runs could not be written", error);
      }
    } finally {
      this.#writingSnapshot = false;
    }
  }
}

const KEEP_ALL = {
  maxEvents: Number.POSITIVE_INFINITY,
  maxBytes: Number.POSITIVE_INFINITY,
  maxAge: Number.POSITIVE_INFINITY,
};

/** Whether nothing can be done any more, and nobody needs to hear of it. */
export function isClosed(error: unknown): boolean {
  return isEverstreamError(error, "HUB_CLOSED") || isEverstreamError(error, "LOG_CLOSED");
}

function sequenceOf(position: string): number {
  return parsePosition(position)?.sequence ?? -1;
}

function withResolver<Value>(): { promise: Promise<Value>; resolve: (value: Value) => void } {
  let resolve: (value: Value) => void = () => undefined;
  const promise = new Promise<Value>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
