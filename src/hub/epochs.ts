import { formatPosition, parsePosition } from "../protocol/index.ts";
import type { Epoch } from "./log.ts";

/** What a client's cursor means here: a sequence, or why it means nothing. */
export type Cursor = number | "invalid" | "epoch";

/** Turns sequences into positions and back: an event's id carries the epoch that wrote it. */
export class Epochs {
  readonly #epochs: readonly Epoch[];

  constructor(epochs: readonly Epoch[]) {
    this.#epochs = epochs;
  }

  format(sequence: number): string {
    return formatPosition(this.#epochs[this.#indexOf(sequence)]?.epoch ?? 1, sequence);
  }

  /**
   * Reads a cursor. One of an older epoch is good up to that epoch's end, beyond which its entries were lost; whether
   * one of the current epoch is over the head, only the log can tell.
   */
  resolve(text: string): Cursor {
    const position = parsePosition(text);
    if (position === undefined) return "invalid";
    const index = this.#epochs.findLastIndex(({ epoch }) => epoch === position.epoch);
    if (index === -1) return "epoch";
    const next = this.#epochs[index + 1];
    return next === undefined || position.sequence < next.first ? position.sequence : "epoch";
  }

  /** Whether a position was given out in the epoch that is being written. */
  isCurrent(text: string): boolean {
    return parsePosition(text)?.epoch === this.#epochs.at(-1)?.epoch;
  }

  /** Through where sequences mean what they did when these other epochs were all there was; 0 where none do. */
  keptOf(before: Epochs): number {
    const shared = before.#epochs.findLast(({ epoch }) => this.#endOf(epoch) > 0)?.epoch;
    return shared === undefined ? 0 : Math.min(this.#endOf(shared), before.#endOf(shared));
  }

  /** The last sequence that an epoch may come to; 0 where it is not known. */
  #endOf(wanted: number): number {
    const index = this.#epochs.findLastIndex(({ epoch }) => epoch === wanted);
    return index === -1 ? 0 : (this.#epochs[index + 1]?.first ?? Number.POSITIVE_INFINITY) - 1;
  }

  /** The epoch that a sequence is of. The oldest one known stands for those that are forgotten. */
  #indexOf(sequence: number): number {
    let index = this.#epochs.length - 1;
    while (index > 0 && (this.#epochs[index] as Epoch).first > sequence) index--;
    return index;
  }
}
