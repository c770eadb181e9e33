import type { ParsedEvent } from "../protocol/index.ts";
import type { StreamStatus } from "./machine.ts";

/**
 * What tabs that share a connection tell each other. Tabs may run different releases of a page: a change of these forms
 * needs a new version in the channel's name.
 */
export type TabMessage = Entry | Hello | Welcome | Claim | Offer;

/** A place in what leaders told: the term of one leader, and how many entries it had told before. Terms rise. */
export interface Place {
  readonly term: number;
  readonly seq: number;
}

/** What a leader tells: what its connection brings, and before all that, */
export type News =
  /** that it leads from now on. Its term follows on `from`, the last place that it knew itself. */
  | { readonly kind: "lead"; readonly from: Place | undefined }
  | { readonly kind: "event"; readonly event: ParsedEvent }
  | { readonly kind: "id"; readonly id: string }
  | { readonly kind: "retry"; readonly ms: number }
  | { readonly kind: "status"; readonly status: StreamStatus };

/** News with its place. Followers take them in order, without a hole. */
export type Entry = Place & News;

/** A tab asks the leader, if there is one, for what it lacks. */
export interface Hello {
  readonly kind: "hello";
  /** The question's own name, for the answer. */
  readonly nonce: string;
  /** The last entry that it took, if it took any. */
  readonly place: Place | undefined;
  /** Its last event ID. */
  readonly id: string;
  /** Whether this tab was just opened or came to the front: no time to wait for a next attempt. */
  readonly wake: boolean;
}

/** The leader's answer to one question. */
export interface Welcome {
  readonly kind: "welcome";
  readonly nonce: string;
  /** The place after the entries below. */
  readonly place: Place;
  /** The leader's last event ID. */
  readonly id: string;
  readonly status: StreamStatus;
  /** Whether ids are positions of our own server, which can be compared. */
  readonly ordered: boolean;
  /** What the asking tab lacks; `undefined` where the leader can't know. */
  readonly missed: Missed | undefined;
}

export interface Missed {
  readonly entries: readonly Entry[];
  /**
   * How they join with what the asking tab had. `next`: they follow on it. `anew`: what lies between, if anything, is not
   * to be had. `ahead`: the tab is at a later position, up to which it has to drop what comes.
   */
  readonly joins: "next" | "anew" | "ahead";
}

/** A tab has the lock, and asks all others for what they have beyond it. It leads when it has that. */
export interface Claim {
  readonly kind: "claim";
  readonly nonce: string;
  /** The last entry that it took. */
  readonly place: Place;
}

/** The answer of one of the others. */
export interface Offer {
  readonly kind: "offer";
  readonly nonce: string;
  /** Whose it is. */
  readonly tab: string;
  readonly entries: readonly Entry[];
}
