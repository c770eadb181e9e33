import type { GapData, GapReason } from "../protocol/index.ts";
import type { CloseReason } from "../session/close-reason.ts";
import { type Channels, channels, type DropPolicy, type RefusalReason } from "./diagnostics.ts";
import type { Hub, HubStats } from "./hub-interface.ts";
import { type StoredEvent, sizeOf } from "./log.ts";
import type { SessionInfo } from "./session-outlet.ts";

/** A session whose account is only made up where somebody wants it. */
interface Accountable {
  readonly info: SessionInfo;
}

/** The part of a hub's figures that is counted, not looked up. */
type Counted = Pick<HubStats, "published" | "delivered" | "dropped" | "closed" | "refused" | "gaps">;

/** Counts what a hub does, and tells of it on the process' channels. Where nobody listens, telling makes no object. */
export class Meter {
  /** Events that were handed over to a reader. */
  delivered = 0;
  readonly #hub: Hub;
  readonly #channels: Channels = channels();
  readonly #closed: Partial<Record<CloseReason, number>> = {};
  readonly #refused: Partial<Record<RefusalReason, number>> = {};
  readonly #gaps: Record<GapReason, number> = { trimmed: 0, epoch: 0, overflow: 0, deleted: 0, invalid: 0 };
  #published = 0;
  #dropped = 0;

  constructor(hub: Hub) {
    this.#hub = hub;
  }

  /** What was counted so far. */
  get counted(): Counted {
    return {
      published: this.#published,
      delivered: this.delivered,
      dropped: this.#dropped,
      closed: { ...this.#closed },
      refused: { ...this.#refused },
      gaps: { ...this.#gaps },
    };
  }

  opened(session: Accountable): void {
    const channel = this.#channels["everstream:session:open"];
    if (channel.hasSubscribers) channel.publish({ hub: this.#hub, ...session.info });
  }

  closed(session: Accountable, reason: CloseReason): void {
    this.#closed[reason] = (this.#closed[reason] ?? 0) + 1;
    const channel = this.#channels["everstream:session:close"];
    if (!channel.hasSubscribers) return;
    const { info } = session;
    // The clock on the wall may have been set back.
    const durationMs = Math.max(0, Date.now() - info.openedAt);
    channel.publish({ hub: this.#hub, ...info, reason, durationMs });
  }

  refused(reason: RefusalReason, status: number, code: string, key: string | undefined): void {
    this.#refused[reason] = (this.#refused[reason] ?? 0) + 1;
    const channel = this.#channels["everstream:session:refused"];
    if (channel.hasSubscribers) channel.publish({ hub: this.#hub, reason, status, code, key });
  }

  /** To be asked before an append, for {@link Meter.published}; no time where nobody wants to know. */
  get appendStart(): number | undefined {
    return this.#channels["everstream:publish"].hasSubscribers ? performance.now() : undefined;
  }

  published(topic: string, events: readonly StoredEvent[], start: number | undefined): void {
    if (events.length === 0) return;
    this.#published += events.length;
    const channel = this.#channels["everstream:publish"];
    if (start === undefined || !channel.hasSubscribers) return;
    const bytes = events.reduce((size, event) => size + sizeOf(event), 0);
    const durationMs = performance.now() - start;
    channel.publish({ hub: this.#hub, topic, count: events.length, bytes, durationMs });
  }

  /** One reader is told of a gap. */
  gap({ topic, reason, after, next }: GapData): void {
    this.#gaps[reason]++;
    const channel = this.#channels["everstream:gap"];
    if (channel.hasSubscribers) channel.publish({ hub: this.#hub, topic, reason, after, next });
  }

  /** A policy left events out for one reader. */
  dropped(topic: string, policy: DropPolicy): void {
    this.#dropped++;
    const channel = this.#channels["everstream:drop"];
    if (channel.hasSubscribers) channel.publish({ hub: this.#hub, topic, policy });
  }

  /** All sessions are sent away by `drain`. */
  async draining(sessions: number, withinMs: number, drain: () => Promise<void>): Promise<void> {
    const hub = this.#hub;
    const before = this.#closed.drained ?? 0;
    const start = performance.now();
    const started = this.#channels["everstream:drain:start"];
    if (started.hasSubscribers) started.publish({ hub, sessions, withinMs });
    await drain();
    const ended = this.#channels["everstream:drain:end"];
    if (!ended.hasSubscribers) return;
    const drained = (this.#closed.drained ?? 0) - before;
    ended.publish({ hub, sessions: drained, withinMs, durationMs: performance.now() - start });
  }
}
