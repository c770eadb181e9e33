import type { Position } from "./record.ts";

/**
 * One message of the stream holds up to 1024 entries: {@link MAX_BATCH} events and what marks them. They stand at the end
 * of the message's places, so that the head follows from the stream's last sequence alone.
 */
export const PLACES = 1024;

/** What follows the stream's own name in the subjects: everything that is kept lies below one of these. */
const KEPT = "es";
const PUSHED = "es-live";

const TOPIC = "t";
const EPOCH = "epoch";
const FLOOR = "floor";
const HORIZON = "horizon";

/** The sequence of entry `index` of a message that has `count` of them. */
export function sequenceOf(message: number, count: number, index: number): Position {
  return message * PLACES + PLACES - count + index;
}

/** The last sequence of a message, which is that of its last entry. */
export function lastSequenceOf(message: number): Position {
  return message * PLACES + PLACES - 1;
}

/** The message in which a sequence lies. */
export function messageOf(sequence: Position): number {
  return Math.floor(sequence / PLACES);
}

/** A stream's subjects. `lineage` is other for each creation, so that nothing meant for a stream gets into its successor. */
export class Subjects {
  /** All that the stream keeps. */
  readonly all: string;
  /** All topics. */
  readonly topics: string;
  readonly epoch: string;
  readonly floor: string;
  readonly horizon: string;
  /** Where the server tells what it has kept. */
  readonly pushed: string;
  readonly #topic: string;
  readonly #live: string;

  constructor(stream: string, lineage: string) {
    const root = `${KEPT}.${stream}.${lineage}`;
    this.all = `${root}.>`;
    this.#topic = `${root}.${TOPIC}.`;
    this.topics = `${this.#topic}>`;
    this.epoch = `${root}.${EPOCH}`;
    this.floor = `${root}.${FLOOR}`;
    this.horizon = `${root}.${HORIZON}`;
    this.#live = `${PUSHED}.${stream}.${lineage}.`;
    this.pushed = `${this.#live}>`;
  }

  /** The subjects of the stream whose configuration says `all`, if they are ours. */
  static of(stream: string, all: string | undefined): Subjects | undefined {
    const lineage = all?.split(".")[2];
    if (lineage === undefined || lineage === "") return undefined;
    const subjects = new Subjects(stream, lineage);
    return subjects.all === all ? subjects : undefined;
  }

  topic(name: string): string {
    return this.#topic + tokenOf(name);
  }

  /** The subject of the topic that has this token. */
  topicOf(token: string): string {
    return this.#topic + token;
  }

  live(name: string): string {
    return this.#live + tokenOf(name);
  }

  /** The topic's token in a subject, or nothing where the subject is no topic's. */
  tokenOf(subject: string): string | undefined {
    return subject.startsWith(this.#topic) ? subject.slice(this.#topic.length) : undefined;
  }
}

const PLAIN = /^[\w:/@,;+-]+$/;
const SPECIAL = /[^\w:/@,;+-]/g;

/** A topic's name as one token of a subject: any text, also what means something to the server. */
function tokenOf(name: string): string {
  if (PLAIN.test(name)) return name;
  return name.replace(SPECIAL, (unit) => `=${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

const ESCAPED = /=([0-9a-f]{4})/g;

/** The name that `tokenOf` has made a token of. */
export function nameOf(token: string): string {
  return token.replace(ESCAPED, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)));
}
