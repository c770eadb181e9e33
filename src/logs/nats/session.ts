import type { Epoch } from "../../hub/log.ts";
import { Clock } from "./clock.ts";
import { findLineage, type Remembered } from "./epochs.ts";
import { JetStreamFault, NoAnswer } from "./errors.ts";
import type { GetQuestion, Link } from "./link.ts";
import { Messages } from "./messages.ts";
import { lastSequenceOf, type Subjects } from "./names.ts";
import type { NatsSettings } from "./options.ts";
import type { Position } from "./record.ts";
import { store } from "./store.ts";
import { has, openStream, type StreamInfo, streamInfo } from "./stream.ts";
import type { StreamMessage } from "./stream-message.ts";
import { KnownTopics } from "./topics.ts";

/** The floor's message carries it in a header, since the clock brings no more. */
const FLOOR_HEADER = "Es-Floor";
/** The time through which events are over their age, by whoever was first to remove some. */
const HORIZON_HEADER = "Es-Horizon";
/** Topics that a floor stands for from now on, by their tokens. */
const FORGOTTEN_HEADER = "Es-Forgotten";

/** As many messages as a new clock may have to bring of what came while there was none. */
const MAX_REPLAYED = 10_000;

/** What the stream was found to be over one link, with everything that is known only as long as that holds. */
export class Session {
  readonly link: Link;
  readonly subjects: Subjects;
  readonly epochs: readonly Epoch[];
  readonly topics: KnownTopics;
  readonly messages: Messages;
  readonly clock: Clock;
  /** Whether it goes on right where the session before it stopped. */
  readonly isResumed: boolean;
  /** Where the feed goes on. */
  readonly head: Position;
  floor: Position;
  /** The message that says so, or 0. */
  floorAt: number;
  /** What was over its age at this time may have been removed. */
  horizon: number;
  #horizonAt: number;
  readonly #info: StreamInfo;
  readonly #mark: number;
  readonly #early: StreamMessage[];
  #take: ((message: StreamMessage) => void) | undefined;
  #stored = 0;
  #hasSkipped = false;
  #asking: Promise<void> = Promise.resolve();
  #queued: Promise<number> | undefined;

  private constructor(parts: SessionParts, clock: Clock, early: StreamMessage[]) {
    this.link = parts.link;
    this.subjects = parts.subjects;
    this.epochs = parts.epochs;
    this.clock = clock;
    this.head = lastSequenceOf(parts.through);
    this.floor = parts.floor;
    this.floorAt = parts.floorAt;
    this.horizon = Number(parts.horizon?.header(HORIZON_HEADER) ?? Number.NEGATIVE_INFINITY);
    this.#horizonAt = parts.horizon?.sequence ?? 0;
    this.#info = parts.info;
    this.#mark = parts.mark;
    this.#early = early;
    this.isResumed = parts.previous !== undefined;
    this.messages = parts.previous?.messages ?? new Messages(parts.subjects);
    this.topics = parts.previous?.topics ?? new KnownTopics(parts.subjects);
    this.messages.source = this;
    this.topics.source = this;
  }

  /**
   * Verifies what the link leads to, and starts the clock: where the session before it stopped, if that is not too long
   * ago, so that all that was known stays so.
   */
  static async open(link: Link, settings: NatsSettings, before: Session | undefined): Promise<Session> {
    const stream = await openStream(link, settings);
    const { info, subjects } = stream;
    link.isCopied = info.config.num_replicas > 1;
    const { epochs, mark, isNew } = await findLineage(link, stream, before?.remembered());
    const floorMessage = await link.getFromLeader({ last_by_subj: subjects.floor });
    const horizon = await link.getFromLeader({ last_by_subj: subjects.horizon });
    const previous = before?.goesOnIn(info, epochs) ? before : undefined;
    const newest = isNew ? mark - 1 : info.state.last_seq;
    const through = previous?.clock.through ?? newest;
    // What the clock brings before somebody wants it.
    const early: StreamMessage[] = [];
    let session: Session | undefined;
    const options = {
      stream: settings.name,
      subject: subjects.all,
      through,
      // The clock reads one of several copies, and it is to be one that is as the leader's.
      known: link.isCopied && through > 0 ? await link.getFromLeader({ seq: through }) : undefined,
      heartbeatMs: settings.heartbeatMs,
    };
    const clock = await Clock.start(link, options, (message) => {
      if (session === undefined || !session.hasBegun) early.push(message);
      else session.#onMessage(message);
    });
    const floor = Number(floorMessage?.header(FLOOR_HEADER) || 0);
    const floorAt = floorMessage?.sequence ?? 0;
    const parts = { link, subjects, epochs, info, mark, floor, floorAt, through, previous, horizon };
    session = new Session(parts, clock, early);
    return session;
  }

  /** What this session was told does not hold: the next one begins anew. */
  distrust(why: string): void {
    this.#hasSkipped = true;
    this.link.end(new Error(why));
  }

  /** Whether a stream is the one of this session, with not too much added. */
  goesOnIn({ created, state }: StreamInfo, epochs: readonly Epoch[]): boolean {
    const isSame =
      created === this.#info.created &&
      epochs.at(-1)?.epoch === this.epochs.at(-1)?.epoch &&
      this.hasBegun &&
      !this.#hasSkipped;
    return isSame && state.last_seq - this.clock.through <= MAX_REPLAYED;
  }

  get hasBegun(): boolean {
    return this.#take !== undefined;
  }

  /** From now on every message of the stream goes to `take`, if only its headers. */
  begin(take: (message: StreamMessage) => void): void {
    this.#take = take;
    for (const message of this.#early.splice(0)) this.#onMessage(message);
  }

  /** What must be there wherever the next link leads. */
  remembered(): Remembered {
    // What does not hold is not to be there.
    const through = this.#hasSkipped ? this.#stored : Math.max(this.clock.through, this.#stored);
    return { epochs: this.epochs, through };
  }

  /** A message was stored over this link. */
  onStored(message: number): void {
    this.#stored = Math.max(this.#stored, message);
  }

  get maxPayload(): number {
    return this.link.maxPayload;
  }

  /** One message, as the stream is now. */
  get(question: GetQuestion): Promise<StreamMessage | undefined> {
    return this.link.isCopied ? this.link.getFromLeader(question) : this.link.get(question);
  }

  /** The newest message on a subject, after all that the clock has brought: it may be ahead of who leads several copies. */
  async last(subject: string): Promise<StreamMessage | undefined> {
    if (this.link.isCopied) await this.newest();
    return this.get({ last_by_subj: subject });
  }

  /**
   * The newest message of the stream at some moment after this call. Calls that come while one is under way share the next
   * question. A stream that is not what it was ends the link.
   */
  newest(): Promise<number> {
    this.#queued ??= this.#asking.then(() => {
      this.#queued = undefined;
      const asking = this.#ask();
      const settled = (): void => undefined;
      this.#asking = asking.then(settled, settled);
      return asking;
    });
    return this.#queued;
  }

  /** Has the floor stand for these topics too, before they are removed. */
  async raiseFloor(floor: Position, tokens: readonly string[]): Promise<void> {
    const fields = { [FLOOR_HEADER]: String(floor), [FORGOTTEN_HEADER]: tokens.join(" ") };
    const before = this.floorAt;
    this.onStored(
      await store(this.link, { subject: this.subjects.floor, payload: "", expected: before, fields }),
    );
    // Who has not seen the one before has topics in mind that are forgotten, and finds that out when it writes to one.
    if (before > 0) await this.remove(before);
  }

  /** Removes a message that nobody needs any more. It may be gone already. */
  async remove(sequence: number): Promise<void> {
    try {
      await this.link.ask("STREAM.MSG.DELETE.{stream}", { seq: sequence, no_erase: true });
    } catch (error) {
      if (!(error instanceof JetStreamFault)) throw error;
    }
  }

  /** Tells all nodes that what was over its age at `time` is about to be removed. */
  async raiseHorizon(time: number): Promise<void> {
    const fields = { [HORIZON_HEADER]: String(time) };
    const before = this.#horizonAt;
    const message = { subject: this.subjects.horizon, payload: "", expected: before, fields };
    this.#onHorizon(await store(this.link, message), time);
    this.onStored(this.#horizonAt);
    if (before > 0) await this.remove(before);
  }

  /** The chain of a topic's messages shows where the clock has skipped one: somebody has purged the stream. */
  #onTopicMessage(message: StreamMessage): void {
    if (this.topics.onMessage(message)) return;
    this.distrust("the stream's feed has skipped something");
  }

  #onHorizon(message: number, time: number): void {
    this.#horizonAt = Math.max(this.#horizonAt, message);
    this.horizon = Math.max(this.horizon, time);
  }

  async #ask(): Promise<number> {
    const { through } = this.clock;
    const info = await streamInfo(this.link);
    const failure = await this.#whatChanged(info, through);
    if (failure === undefined) return Math.max(info?.state.last_seq ?? 0, through);
    this.link.end(new Error(failure));
    throw new NoAnswer(failure);
  }

  async #whatChanged(info: StreamInfo | undefined, through: number): Promise<string | undefined> {
    if (info === undefined) return "the stream is gone";
    if (info.created !== this.#info.created) return "the stream was made anew";
    if (info.config.num_replicas !== this.#info.config.num_replicas)
      return "the stream has more copies, or less";
    if (info.state.first_seq > this.#mark) return "the stream was purged";
    if (!(await has(this.link, info, through))) return "the stream has lost messages";
    return undefined;
  }

  #onMessage(message: StreamMessage): void {
    const { subject, sequence } = message;
    if (subject === this.subjects.floor) {
      this.floor = Math.max(this.floor, Number(message.header(FLOOR_HEADER)));
      this.floorAt = sequence;
      for (const token of message.header(FORGOTTEN_HEADER).split(" ")) this.topics.forgetToken(token);
    } else if (subject === this.subjects.horizon) {
      this.#onHorizon(sequence, Number(message.header(HORIZON_HEADER)));
    } else if (subject === this.subjects.epoch) {
      if (sequence > this.#mark) this.link.end(new Error("another epoch has begun"));
    } else {
      this.#onTopicMessage(message);
    }
    this.#take?.(message);
  }
}

interface SessionParts {
  readonly link: Link;
  readonly subjects: Subjects;
  readonly epochs: readonly Epoch[];
  readonly info: StreamInfo;
  readonly through: number;
  readonly mark: number;
  readonly floor: Position;
  readonly floorAt: number;
  readonly previous: Session | undefined;
  readonly horizon: StreamMessage | undefined;
}
