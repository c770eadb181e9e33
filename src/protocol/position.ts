import { EverstreamError } from "../errors.ts";

/** Where an event stands in a hub's order. */
export interface Position {
  /** The stretch of the log, written by one proven owner, that gave the position out: a whole number from 1. */
  epoch: number;
  /** The place in the hub's one order, rising but not always by one: a whole number from 0, which is before all. */
  sequence: number;
}

// One spelling for each position: no sign, no leading zero, lower case. Eleven digits hold 2^53.
const POSITION = /^([1-9a-z][0-9a-z]{0,10})-(0|[1-9a-z][0-9a-z]{0,10})$/;

/**
 * Writes a position as events' ids carry it: `<epoch>-<sequence>`, both in base 36.
 *
 * @throws EverstreamError `INVALID_POSITION`: a number is not whole, out of range or too large to be exact.
 */
export function formatPosition(epoch: number, sequence: number): string {
  if (!Number.isSafeInteger(epoch) || epoch < 1 || !Number.isSafeInteger(sequence) || sequence < 0) {
    throw new EverstreamError(
      "INVALID_POSITION",
      `There is no position with epoch ${epoch} and sequence ${sequence}: give safe integers, the epoch from 1 and the sequence from 0.`,
    );
  }
  return `${epoch.toString(36)}-${sequence.toString(36)}`;
}

/** Reads what {@link formatPosition} wrote; `undefined` for any other text, so that a forged cursor is seen as one. */
export function parsePosition(text: string): Position | undefined {
  const match = POSITION.exec(text);
  if (match === null) return undefined;
  const epoch = Number.parseInt(match[1] as string, 36);
  const sequence = Number.parseInt(match[2] as string, 36);
  return Number.isSafeInteger(epoch) && Number.isSafeInteger(sequence) ? { epoch, sequence } : undefined;
}
