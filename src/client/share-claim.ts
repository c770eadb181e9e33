import { comparePlaces } from "./share-history.ts";
import { takeTurn } from "./share-lock.ts";
import { ANSWER_MS } from "./share-question.ts";
import type { Claim, Entry, Offer, Place } from "./share-wire.ts";

/** A tab's way to the lead: it waits for the lock, and when it has that, for what others have and it has not. */
export interface Succession {
  /** Whether it has the lock, and does not lead yet. */
  readonly isClaiming: boolean;
  /** Asks once more: somebody came who may not have heard it. */
  repeat(): void;
  hear(offer: Offer): void;
  /** Gives the lock up, or stops waiting for it. May be called twice. */
  end(): void;
}

/** What becomes of a succession that was not given up. */
export interface SuccessionListener {
  /** The lock is here. Says what the last entry is that this tab took, if it took any. */
  claims(): Place | undefined;
  post(claim: Claim): void;
  /**
   * The lead is here.
   *
   * @param term Of the lock: who hangs before it leads, and has it taken, does not come back with a later one.
   * @param missed What others have beyond this tab.
   */
  leads(term: number, missed: readonly Entry[]): void;
  /** As for a turn. */
  taken(): void;
  refused(): void;
}

/**
 * Waits for the lock, and asks the other tabs then for what they have beyond this one. Events without ids can be had from
 * nowhere else, and those with ids need not be sent again. It waits for as many answers as tabs wait for the lock, but not
 * for tabs that hang.
 *
 * @param steal Takes the lock at once, whoever holds it.
 */
export function succeed(name: string, steal: boolean, listener: SuccessionListener): Succession {
  let claim: Claim | undefined;
  let term = 0;
  let awaited = Number.POSITIVE_INFINITY;
  const answered = new Set<string>();
  // Not the sum of all: where one followed a leader that others did not, they differ in more than their lengths.
  let furthest: readonly Entry[] = [];
  let timer: ReturnType<typeof setTimeout> | undefined;

  const stop = (): void => {
    claim = undefined;
    clearTimeout(timer);
  };
  const settle = (): void => {
    stop();
    listener.leads(term, furthest);
  };
  const settleIfAll = (): void => {
    if (claim !== undefined && answered.size >= awaited) settle();
  };
  const count = ({ pending = [] }: LockManagerSnapshot): void => {
    awaited = pending.filter((lock) => lock.name === name).length;
    settleIfAll();
  };
  const granted = (): void => {
    // The clock is the same in all tabs, so that a term is later than those that this tab never heard of.
    term = Date.now() + Math.random();
    const place = listener.claims();
    if (place === undefined) {
      settle();
      return;
    }
    claim = { kind: "claim", nonce: crypto.randomUUID(), place };
    listener.post(claim);
    timer = setTimeout(settle, ANSWER_MS);
    // Where they can't be counted, time decides.
    navigator.locks.query().then(count, () => undefined);
  };
  const taken = (): void => {
    stop();
    listener.taken();
  };
  const turn = takeTurn(name, steal, { granted, taken, refused: listener.refused });
  return {
    get isClaiming() {
      return claim !== undefined;
    },
    repeat() {
      if (claim !== undefined) listener.post(claim);
    },
    hear({ nonce, tab, entries }) {
      if (nonce !== claim?.nonce) return;
      answered.add(tab);
      const last = entries.at(-1);
      if (last && comparePlaces(last, furthest.at(-1) ?? claim.place) > 0) furthest = entries;
      settleIfAll();
    },
    end() {
      stop();
      turn.end();
    },
  };
}
