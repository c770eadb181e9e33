import type { GapData } from "../protocol/index.ts";
import { report } from "../session/report.ts";
import type { Audience } from "./audience.ts";
import { type Floors, NO_FLOORS } from "./floors.ts";
import type { Frame } from "./frame.ts";
import type { Page, TopicState } from "./log.ts";
import type { Outlet } from "./outlet.ts";
import type { SharedPage } from "./pages.ts";

/** What a reader needs to begin. */
export interface ReaderStart {
  /** It gets what comes after this sequence. */
  readonly cursor: number;
  /** What it does not get after the cursor. */
  readonly floors?: Floors;
}

/**
 * What one outlet of an audience has been given: how far it has come, and what it knows that it does not get. Events are
 * handed over, and gaps told, here alone, so that whatever was told to be missing is not given after all: a client goes by
 * what it was told.
 */
export abstract class Recipient {
  readonly audience: Audience;
  readonly outlet: Outlet;
  /** The sequence through which everything was handed over, at least. */
  cursor: number;
  /** The sequence through which the other side knows that it has everything: its last event or checkpoint. */
  protected known: number;
  /** What is not handed over: the other side may not see it, or was told that it misses it. */
  protected floors: Floors;

  constructor(audience: Audience, outlet: Outlet, { cursor, floors = NO_FLOORS }: ReaderStart) {
    this.audience = audience;
    this.outlet = outlet;
    this.cursor = cursor;
    this.known = cursor;
    this.floors = floors;
  }

  abstract get left(): boolean;
  abstract leave(): void;

  /** As long as there are floors before it, what is in the ring comes one by one: not all may be for this one. */
  protected takeOne(frame: Frame): void {
    const { meter } = this.audience;
    this.cursor = frame.sequence;
    if (this.floors.hides(frame.entry)) return;
    this.outlet.takeOne(frame);
    if (frame.gap === undefined) meter.delivered++;
    else meter.gap(frame.gap);
    this.known = frame.sequence;
  }

  /** Hands over what is visible of a page. */
  protected handOver(page: SharedPage): void {
    const shared = this.visible(page);
    const last = shared.page.entries.at(-1);
    if (last === undefined) return;
    try {
      this.audience.meter.delivered += this.outlet.takePage(shared);
    } catch (error) {
      this.fail(error);
    }
    this.known = last.sequence;
  }

  /** What it gets of a page. */
  protected visible(shared: SharedPage): SharedPage {
    const { floors } = this;
    const first = shared.page.entries[0];
    if (first === undefined || first.sequence > floors.highest) return shared;
    return shared.without((entry) => floors.hides(entry));
  }

  /** Learns from a page what is missing before it. Nothing is said of lossy topics, unless they were erased. */
  protected notePage(page: Page, isLossy?: (topic: string) => boolean): void {
    const { audience } = this;
    const states = audience.statesIn(page);
    audience.note(states);
    states.forEach((state, index) => {
      const topic = audience.topics[index] as string;
      if (state.deleted || !isLossy?.(topic)) this.#tellIfTrimmed(topic, state, page.head);
    });
  }

  /** What has left the ring of a topic is not handed over any more. */
  protected drop(topic: string): void {
    const { audience } = this;
    this.tellGap(audience.overflowOf(topic, this.knownOf(topic)));
    audience.meter.dropped(topic, "dropOldest");
    this.floors = this.floors.raised(topic, audience.ring.base);
  }

  /** The sequence through which the other side has a topic's events, or knows that it has not. */
  protected knownOf(topic: string): number {
    return Math.max(this.cursor, this.floors.of(topic));
  }

  protected tellGap(gap: GapData): void {
    this.audience.meter.gap(gap);
    this.outlet.tellGap(gap);
  }

  /** The outlet could not take what it was given, which is nobody else's matter. */
  protected fail(error: unknown): void {
    report("A reader could not take what it was given, and is ended", error);
    if (this.left) return;
    this.leave();
    this.outlet.fail(error);
  }

  #tellIfTrimmed(topic: string, state: TopicState, head: number): void {
    const knownTo = this.knownOf(topic);
    if (state.trimmedThrough <= knownTo) return;
    this.floors = this.floors.raised(topic, state.trimmedThrough);
    this.tellGap(this.audience.gapOf(topic, state, knownTo, head));
  }
}
