import type { AppendResult, Epoch } from "../../hub/log.ts";
import type { Decision } from "./draft.ts";
import { sequenceOf } from "./names.ts";
import type { Pending } from "./pending.ts";

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

/** Tells those who wait what became of their appends, now that they are `entries` in a message that is stored. */
export function answer(
  decisions: ReadonlyMap<Pending, Decision>,
  { message, entries }: { readonly message: number; readonly entries: number },
  epochs: readonly Epoch[],
): void {
  for (const [pending, decision] of decisions) {
    if ("result" in decision) {
      pending.resolve(withEpoch(decision.result, epochs));
      continue;
    }
    const { from, count } = decision;
    const sequences = Array.from({ length: count }, (_, index) => sequenceOf(message, entries, from + index));
    pending.resolve(withEpoch({ accepted: true, sequences, repeated: false }, epochs));
  }
}

/** Says of which epoch a result's sequences are. */
function withEpoch(result: AppendResult, epochs: readonly Epoch[]): AppendResult {
  if (!result.accepted) return result;
  const at = result.sequences[0];
  const epoch = at === undefined ? epochs.at(-1) : epochs.findLast(({ first }) => first <= at);
  return epoch === undefined ? result : { ...result, epoch: epoch.epoch };
}
