import { encodeEvent, GAP_EVENT, type GapData } from "../protocol/index.ts";
import { SharedBytes } from "../session/sink.ts";
import { DEFAULT_TYPE } from "./event.ts";
import { type LogEntry, sizeOf } from "./log.ts";

const encoder = /* @__PURE__ */ new TextEncoder();

/** One entry on its way to readers. It is encoded when the first connection wants it, once for all of them. */
export class Frame {
  readonly entry: LogEntry;
  readonly id: string;
  /** For an entry that erases its topic: what readers are told in its place. */
  readonly gap: GapData | undefined;
  /** What it counts for in limits. */
  readonly size: number;
  #bytes: Uint8Array | undefined;
  #alone: SharedBytes | undefined;

  constructor(entry: LogEntry, id: string, gap?: GapData) {
    this.entry = entry;
    this.id = id;
    this.gap = gap;
    this.size = sizeOf(entry.event);
  }

  get sequence(): number {
    return this.entry.sequence;
  }

  get bytes(): Uint8Array {
    this.#bytes ??= encoder.encode(
      this.gap === undefined ? eventBlock(this.entry, this.id) : gapBlock(this.gap),
    );
    return this.#bytes;
  }

  /** The frame as a write of its own, the same for all audiences. */
  get alone(): SharedBytes {
    this.#alone ??= new SharedBytes(this.bytes);
    return this.#alone;
  }
}

/** An event's block on the wire. */
export function eventBlock({ event: { type, data } }: LogEntry, id: string): string {
  return encodeEvent({ event: type === DEFAULT_TYPE ? undefined : type, data, id });
}

/** The block that says that events are missing. It has no id, so that the client keeps its cursor. */
export function gapBlock(gap: GapData): string {
  return encodeEvent({ event: GAP_EVENT, data: JSON.stringify(gap) });
}
