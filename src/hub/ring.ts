import type { GapData } from "../protocol/index.ts";
import { SharedBytes } from "../session/sink.ts";
import { Deque, indexAfter } from "./deque.ts";
import type { Frame } from "./frame.ts";
import type { Taken } from "./outlet.ts";

/** A write holds no more frames once it has so many bytes: joining pays until here, then it only costs memory. */
const MAX_BLOCK_BYTES = 64 * 1024;
/** So much of what was joined is kept for the next that stand there. Where everybody stands elsewhere, little of it is of use. */
const MAX_KEPT_BYTES = 4 * 1024 * 1024;

/** Several frames as one write. */
export interface Block extends Taken {
  readonly bytes: SharedBytes;
}

/**
 * The newest frames of one audience. Readers hold an index into it instead of a queue of their own; indexes go on rising
 * while frames leave at the front. It holds every frame after {@link Ring.base}.
 */
export class Ring {
  /** The index of the oldest frame held. */
  start = 0;
  /** The sequence after which the ring is complete: a reader with an older cursor has to read the log. */
  base: number;
  /** All that was ever pushed: one for each frame and one for each 2 kB in it. What publishers are held back by. */
  weight = 0;
  /** By topic, the last sequence that has left; kept where somebody asks what a reader has lost. */
  readonly lost: Map<string, number> | undefined;
  readonly #frames = new Deque<Frame>();
  readonly #maxBytes: number;
  #bytes = 0;
  /** Joined writes by the index where they begin, good until the next push. */
  #blocks: Map<number, Block> | undefined;
  #blockBytes = 0;

  constructor(base: number, maxBytes: number, keepsLost = false) {
    this.base = base;
    this.#maxBytes = maxBytes;
    this.lost = keepsLost ? new Map() : undefined;
  }

  /** The index after the newest frame. */
  get end(): number {
    return this.start + this.#frames.length;
  }

  at(index: number): Frame | undefined {
    return this.#frames.at(index - this.start);
  }

  push(frame: Frame): void {
    if (frame.sequence <= this.base) return;
    this.#frames.push(frame);
    this.#bytes += frame.size;
    this.weight += 1 + Math.floor(frame.size / 2048);
    this.#blocks = undefined;
    while (this.#bytes > this.#maxBytes) this.#shift();
  }

  /** The index of the first frame after `sequence`, which must not be under the base. */
  indexAfter(sequence: number): number {
    return this.start + indexAfter(this.#frames, sequence);
  }

  /** The first frame of a topic that is held. */
  firstOf(topic: string): Frame | undefined {
    for (let index = this.start; index < this.end; index++) {
      const frame = this.at(index);
      if (frame?.entry.topic === topic) return frame;
    }
    return undefined;
  }

  /** The index after the last frame of a topic that is held; where there is none, the ring's start. */
  endOf(topic: string): number {
    let index = this.end;
    while (index > this.start && this.at(index - 1)?.entry.topic !== topic) index--;
    return index;
  }

  /** The frames from `from` on as one write: made once for all readers that stand there. */
  block(from: number): Block {
    return this.#blocks?.get(from) ?? this.#newBlock(from);
  }

  /** Lets go of the frames before `index`. */
  discard(index: number): void {
    while (this.start < index && this.#frames.length > 0) this.#shift();
    this.#blocks = undefined;
  }

  /** Starts anew: complete after `base`, and so far empty. All indexes so far are over. */
  jump(base: number): void {
    this.start = this.end + 1;
    this.#frames.clear();
    this.lost?.clear();
    this.#blocks = undefined;
    this.#bytes = 0;
    this.base = base;
  }

  #shift(): void {
    const frame = this.#frames.shift() as Frame;
    this.start++;
    this.base = frame.sequence;
    this.lost?.set(frame.entry.topic, frame.sequence);
    this.#bytes -= frame.size;
  }

  #newBlock(from: number): Block {
    const block = this.#join(from);
    this.#blockBytes += block.bytes.length;
    if (this.#blockBytes > MAX_KEPT_BYTES) this.#blocks = undefined;
    if (this.#blocks === undefined) {
      this.#blocks = new Map();
      this.#blockBytes = block.bytes.length;
    }
    this.#blocks.set(from, block);
    return block;
  }

  #join(from: number): Block {
    const first = this.at(from) as Frame;
    const parts: Uint8Array[] = [];
    let gaps: GapData[] | undefined;
    let length = 0;
    let last = first;
    for (let index = from; index < this.end; index++) {
      const frame = this.at(index) as Frame;
      length += frame.bytes.length;
      if (length > MAX_BLOCK_BYTES && index > from) break;
      if (frame.gap !== undefined) {
        gaps ??= [];
        gaps.push(frame.gap);
      }
      parts.push(frame.bytes);
      last = frame;
    }
    const bytes = parts.length === 1 ? first.alone : new SharedBytes(parts);
    const events = parts.length - (gaps?.length ?? 0);
    return { bytes, to: from + parts.length, last: last.sequence, events, gaps };
  }
}
