import type { ParsedEvent } from "../protocol/index.ts";
import type { StreamStatus } from "./machine.ts";

/**
 * What tabs that share a connection tell each other. Tabs may run different releases of a page: a change of these forms
 * needs a new version in the channel's name.
 */
export type TabMessage = Entry | Lead | Hello | Welcome;

/** A place in what leaders told: the term of one leader, and how many entries it had told. Terms rise. */
export interface Place {
  readonly term: number;
  readonly seq: number;
}

/** What the leader's connection brought. */
export type News =
  | { readonly kind: "event"; readonly event: ParsedEvent }
  | { readonly kind: "id"; readonly id: string }
  | { readonly kind: "retry"; readonly ms: number }
  | { readonly kind: "status"; readonly status: StreamStatus };

/** News with its place. Followers take them in order, without a hole. */
export type Entry = Place & News;

/** A tab leads from now on. Its term begins after `from`, the last place that it knew itself. */
export interface Lead {
  readonly kind: "lead";
  readonly term: number;
  readonly from: Place | undefined;
}

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
   * Where the asking tab has more than the leader, which will bring that again: the place and the id after which the
   * leader's own term began.
   */
  readonly ahead?: { readonly from: Place | undefined; readonly id: string } | undefined;
}
