import type { AppendResult, Epoch } from "../hub/log.ts";
import type { Decision } from "./nats-draft.ts";
import type { Pending } from "./nats-pending.ts";

/** A message as it was sent: what its appends were to become, should it turn out to be stored. */
export interface Attempt {
  readonly nonce: string;
  readonly expected: number;
  readonly entries: number;
  readonly decisions: ReadonlyMap<Pending, Decision>;
}

/** Appends that go together, because a message with all of them was sent and what became of it is open. */
export interface Group {
  readonly pending: readonly Pending[];
  readonly attempts: Attempt[];
}

/** Says of which epoch a result's sequences are. */
export function withEpoch(result: AppendResult, epochs: readonly Epoch[]): AppendResult {
  if (!result.accepted) return result;
  const at = result.sequences[0];
  const epoch = at === undefined ? epochs.at(-1) : epochs.findLast(({ first }) => first <= at);
  return epoch === undefined ? result : { ...result, epoch: epoch.epoch };
}

/** Whether a sequence that was named in an epoch still means what it meant. */
export function isKept(epochs: readonly Epoch[], epoch: Epoch, sequence: number): boolean {
  const index = epochs.findLastIndex((known) => known.epoch === epoch.epoch);
  if (index === -1) return sequence <= 0;
  const next = epochs[index + 1];
  return next === undefined || sequence < next.first;
}
