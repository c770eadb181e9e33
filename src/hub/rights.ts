import { invalidOption } from "../errors.ts";
import { assertOptions, type NamesOf } from "../input.ts";
import { parsePosition } from "../protocol/index.ts";
import { noPosition } from "./errors.ts";
import type { RequestHead } from "./respond.ts";
import { topicSet } from "./topics.ts";

/** A topic, and from where on somebody may read it. */
export interface TopicRight {
  readonly topic: string;
  /** A position: nothing of the topic at or before it is sent, whatever the client's cursor or `from` says. */
  readonly notBefore?: string | undefined;
}

/** What a client reads. */
export type Topics = string | TopicRight | readonly (string | TopicRight)[];

/** What a client may read, where it is less than what was asked for. */
export interface Grant {
  /** In place of those asked for. None at all are a refusal. */
  readonly topics?: Topics;
  /** When the rights end, in milliseconds as `Date.now()` gives them. The earlier one counts, with the option's. */
  readonly expiresAt?: number;
}

/** An answer in place of a stream: JSON with `error` and `code`. */
export interface Refusal {
  /** From 400 to 599. A browser's `EventSource` gives up at any of them. */
  readonly status: number;
  /** For the client to see. */
  readonly message?: string;
  /** Default: `FORBIDDEN`. */
  readonly code?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What `authorize` may say: yes or no, yes within bounds, or no in words of its own. */
export type Verdict = boolean | Grant | Refusal;

/** Decides whether who sent the request may read the topics. */
export type Authorize = (head: RequestHead, topics: readonly string[]) => Verdict | Promise<Verdict>;

/** A topic's first position is behind this one. */
export interface NotBefore {
  readonly topic: string;
  readonly position: string;
}

/** Rights in the form that an opening goes by. */
export interface Rights {
  /** Sorted, each once. */
  readonly topics: readonly string[];
  readonly notBefore: readonly NotBefore[];
}

const RIGHT_NAMES: NamesOf<TopicRight> = { topic: true, notBefore: true };
const GRANT_NAMES: NamesOf<Grant> = { topics: true, expiresAt: true };

/**
 * Checks what a client is to read.
 *
 * @throws EverstreamError `INVALID_TOPIC`, `TOO_MANY_TOPICS`, `INVALID_POSITION` for a `notBefore` that is no position,
 *   `INVALID_OPTION` for a name that a right does not have.
 */
export function rightsOf(topics: Topics, max: number): Rights {
  if (typeof topics === "string") return { topics: topicSet(topics, max), notBefore: [] };
  const list = Array.isArray(topics) ? (topics as readonly (string | TopicRight)[]) : [topics as TopicRight];
  const notBefore: NotBefore[] = [];
  const names = list.map((item) => {
    if (typeof item !== "object" || item === null) return item;
    assertOptions("topics", item, RIGHT_NAMES);
    if (item.notBefore !== undefined) {
      notBefore.push({ topic: item.topic, position: checkedPosition(item.notBefore) });
    }
    return item.topic;
  });
  return { topics: topicSet(names, max), notBefore };
}

/**
 * Makes of a verdict either what is granted or how it is refused. Whatever is not a clear yes is a no.
 *
 * @throws EverstreamError `INVALID_OPTION` for a status that is no refusal, and for what is no verdict: a user, a list.
 */
export function readVerdict(verdict: Verdict): { readonly grant: Grant } | { readonly refusal: Refusal } {
  if (verdict === true) return { grant: {} };
  if (typeof verdict !== "object" || verdict === null) return { refusal: { status: 403 } };
  if (!("status" in verdict)) {
    assertOptions("what `authorize` gives", verdict, GRANT_NAMES);
    return isEmpty(verdict.topics) ? { refusal: { status: 403 } } : { grant: verdict };
  }
  const { status } = verdict;
  if (Number.isInteger(status) && status >= 400 && status <= 599) return { refusal: verdict };
  throw invalidOption(`\`authorize\` refused with the status ${String(status)}; give one from 400 to 599.`);
}

/** A list of topics out of which everything was taken that the client may not read. */
function isEmpty(topics: Topics | undefined): boolean {
  return Array.isArray(topics) && topics.length === 0;
}

function checkedPosition(position: string): string {
  if (typeof position === "string" && parsePosition(position) !== undefined) return position;
  throw noPosition("notBefore", position);
}
