import type { Hub, HubEvent } from "../hub/index.ts";
import { GAP_EVENT, type GapData, parsePosition } from "../protocol/index.ts";
import { report } from "../session/report.ts";
import { closedError, isClosed } from "./closed.ts";
import { type ClaimOutcome, type ControlEvent, RegistryState, type RunRecord } from "./registry-state.ts";
import { Snapshots } from "./snapshots.ts";

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
  /** Where it stands in the log, once that is known. */
  sequence: number | undefined;
  readonly resolve: (outcome: ClaimOutcome) => void;
  readonly reject: (error: unknown) => void;
}

interface Waiting {
  readonly sequence: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/**
 * What the processes of a log know together of the runs that have not ended: the control topic, followed. Events there
 * decide by their order, who may start a run, who takes it over, whether a stop came before its start.
 *
 * The topic holds a snapshot and what came after it. Whoever finds that much has come writes the next snapshot, on the
 * condition that it knows of every event so far, and the log lets go of everything before in the same append. So the
 * topic holds what is running and little more than a thousand events, however many runs there were; see snapshots.ts.
 */
export class Registry {
  readonly node = crypto.randomUUID();
  readonly #hub: Hub;
  readonly #topic: string;
  readonly #host: RegistryHost;
  readonly #state = new RegistryState();
  readonly #claims = new Map<string, Claim>();
  readonly #snapshots = new Snapshots(() => this.#writeSnapshot());
  #waiting: Waiting[] = [];
  #position = "";
  /** Of the last event after which the state is whole: in the middle of a snapshot it is not. */
  #sequence = -1;
  #lookedThrough = "";
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

  /** @throws EverstreamError `HUB_CLOSED` after `close`: what is known here is old then, and nothing may be done by it. */
  assertOpen(): void {
    if (this.#closed) throw closedError();
  }

  /**
   * Asks for a run. Resolves to what the log's order says.
   *
   * @throws EverstreamError `HUB_CLOSED` after `close`, and where that comes before the outcome; then the run is given back.
   */
  async claim(claim: Omit<Extract<ControlEvent, { type: "claim" }>["data"], "node">): Promise<ClaimOutcome> {
    this.assertOpen();
    const { id, token } = claim;
    const outcome = new Promise<ClaimOutcome>((resolve, reject) => {
      this.#claims.set(token, { id, sequence: undefined, resolve, reject });
    });
    // It may be settled before anybody waits for it.
    outcome.catch(() => undefined);
    try {
      const position = await this.tell({ type: "claim", data: { ...claim, node: this.node } });
      const pending = this.#claims.get(token);
      if (pending !== undefined) pending.sequence = sequenceOf(position);
      this.#settleClaims(this.#sequence);
      return await outcome;
    } catch (error) {
      // Nobody needs to wait for our lease to end before the run's id and key are free.
      if (this.#closed) await this.tell({ type: "ended", data: { id, token } });
      throw error;
    } finally {
      this.#claims.delete(token);
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
    return this.#snapshots.publish(() =>
      this.#hub.publish(this.#topic, event, { retention: KEEP_ALL, unchecked: true }),
    );
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

  /**
   * Resolves once everything is known that the log holds now.
   *
   * @throws EverstreamError `HUB_CLOSED` after `close`, and where that comes before.
   */
  async catchUp(): Promise<void> {
    this.assertOpen();
    await this.ready();
    const { events } = await this.#hub.read(this.#topic, { last: 1 });
    const last = events[0];
    if (last !== undefined) await this.#reach(last.id);
    // It may be read anew by now.
    await this.ready();
    this.assertOpen();
  }

  close(): void {
    this.#closed = true;
    this.#unsubscribe();
    const undecided = [...this.#waiting, ...this.#claims.values()];
    this.#waiting = [];
    for (const { reject } of undecided) reject(closedError());
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
    throw closedError();
  }

  /** Reads the topic from its start, and follows it from there on. */
  async #read(): Promise<void> {
    this.#state.clear();
    this.#position = "";
    this.#sequence = -1;
    this.#lookedThrough = "";
    this.#snapshots.noteSnapshot();
    let after: string | undefined;
    for (let complete = false; !complete; ) {
      const page = await this.#hub.read(this.#topic, { after });
      for (const event of page.events) this.#apply(event);
      after = page.position;
      complete = page.complete;
    }
    this.#host.onReset();
    // Whatever was written before is known now, unless the log has lost it.
    this.#settleClaims(Number.POSITIVE_INFINITY);
    this.#settle(Number.POSITIVE_INFINITY);
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
    if (type !== "snapshot") {
      this.#sequence = sequenceOf(event.id);
      this.#snapshots.noteEvent();
      if (type === "claim" && outcome !== undefined) this.#claims.get(data.token)?.resolve(outcome);
    } else if (data.isLast) {
      this.#sequence = sequenceOf(event.id);
      this.#snapshots.noteSnapshot();
      this.#settleClaims(this.#sequence);
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

  /**
   * Settles claims whose own event stands before `sequence` and was not seen, since a snapshot came in its place. One that
   * has left nothing behind was refused, as far as can be told, by a run that may have ended: it is to look again.
   */
  #settleClaims(sequence: number): void {
    for (const [token, claim] of this.#claims) {
      if (claim.sequence === undefined || claim.sequence > sequence) continue;
      const run = this.runs.get(claim.id);
      if (run === undefined) claim.resolve("busy");
      else claim.resolve(run.token === token ? "won" : "joined");
    }
  }

  #reach(position: string): Promise<void> {
    const sequence = sequenceOf(position);
    if (this.#closed) return Promise.reject(closedError());
    if (this.#sequence >= sequence) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.push({ sequence, resolve, reject }));
  }

  #settle(sequence: number): void {
    if (this.#waiting.length === 0) return;
    const reached = this.#waiting.filter((waiting) => waiting.sequence <= sequence);
    this.#waiting = this.#waiting.filter((waiting) => waiting.sequence > sequence);
    for (const { resolve } of reached) resolve();
  }

  async #writeSnapshot(): Promise<void> {
    await this.catchUp();
    if (!this.#snapshots.isDue) return;
    const parts = this.#state.snapshot();
    const retention = { ...KEEP_ALL, maxEvents: parts.length };
    const options = { expectLast: this.#position, retention, unchecked: true };
    const positions = await this.#hub.publish(this.#topic, parts, options);
    await this.#reach(positions.at(-1) ?? this.#position);
  }
}

const KEEP_ALL = {
  maxEvents: Number.POSITIVE_INFINITY,
  maxBytes: Number.POSITIVE_INFINITY,
  maxAge: Number.POSITIVE_INFINITY,
};

function sequenceOf(position: string): number {
  return parsePosition(position)?.sequence ?? -1;
}
