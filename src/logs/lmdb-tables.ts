import { closeSync } from "node:fs";
import type { Database, Key, RootDatabase } from "lmdb";
import { EverstreamError } from "../errors.ts";
import type { Epoch } from "../hub/log.ts";
import type { Changes } from "./lmdb-changes.ts";
import { measureStored } from "./lmdb-event.ts";
import { assertThere, openFile, roomIn, watchFile, written } from "./lmdb-file.ts";
import { type Pair, pairKeys, textKeys } from "./lmdb-keys.ts";
import { OldestEvents } from "./lmdb-oldest.ts";
import { assertSpace, isShortOfSpace } from "./lmdb-space.ts";
import { decodeTopic, encodeTopic, type TopicRecord } from "./lmdb-topic.ts";

/** What the whole log remembers beside topics and events. */
export interface LogState {
  /** The newest sequence. */
  head: number;
  /** No forgotten topic had an entry after it. */
  floor: number;
  /** What the next thing that needs a number of its own gets. */
  nextId: number;
  /** How many topics without events are remembered. */
  emptyTopics: number;
  /** How many stretches of removed events still take up space. */
  leftovers: number;
}

/** What a `publishId` led to: until when that counts, the first sequence, and how many. */
export type StoredResult = readonly [until: number, first: number, count: number];

const FILE = "events.mdb";
/** How this file lies on disk. Another number means that this code can't read it. */
const FORMAT = 1;
const FIRST_STATE: Readonly<LogState> = { head: 0, floor: 0, nextId: 1, emptyTopics: 0, leftovers: 0 };

/**
 * lmdb's name for a file's one unnamed database, of which its types do not know. All tables lie in it, told apart by the
 * first byte of their keys: a commit then changes one tree, and there is nothing to create but the file.
 */
const MAIN = null as unknown as string;

/** The tables in a log's file, and how their keys and values look. */
export class LmdbTables {
  /** Topics by name. */
  readonly topics: Database<TopicRecord, string>;
  /** Events as `encodeStored` writes them, by their topic's number and their sequence: a topic's lie together. */
  readonly events: Database<Buffer, Pair>;
  /** The oldest events of topics that are being trimmed. */
  readonly oldest: OldestEvents;
  /** The timetable of retention: topics' names, by the time when they are due and their number. */
  readonly due: Database<string, Pair>;
  /** Names of topics without events, by their place in that list, and 0. */
  readonly empty: Database<string, Pair>;
  /** Removed events that still take up space, by their topic's number and the sequence through which all are void. */
  readonly leftovers: Database<string, Pair>;
  /** Results by what `publishIdKey` makes of a topic and an id. */
  readonly publishIds: Database<StoredResult, string>;
  /** The keys of `publishIds`, by the time until which they count, and a number. */
  readonly publishIdTimes: Database<string, Pair>;
  readonly #log: Database<unknown, string>;
  readonly #root: RootDatabase<unknown, string>;
  readonly #folder: string;
  /** Tells whether the file still has a name. */
  readonly #watch: number;
  #hasFailed = false;

  private constructor(root: RootDatabase<unknown, string>, folder: string, watch: number) {
    this.#root = root;
    this.#folder = folder;
    this.#watch = watch;
    this.#log = this.#table({ encoding: "json", ...textKeys(1) });
    this.#assertFormat();
    this.topics = this.#table({
      encoder: { encode: encodeTopic, decode: decodeTopic },
      ...textKeys(2),
    });
    this.events = this.#table({ encoding: "binary", ...pairKeys(3) });
    this.oldest = new OldestEvents(this.#table({ encoder: MEASURES, ...pairKeys(3) }));
    this.due = this.#table({ encoding: "string", ...pairKeys(4) });
    this.empty = this.#table({ encoding: "string", ...pairKeys(5) });
    this.leftovers = this.#table({ encoding: "string", ...pairKeys(6) });
    this.publishIds = this.#table({ encoding: "json", ...textKeys(7) });
    this.publishIdTimes = this.#table({ encoding: "string", ...pairKeys(8) });
  }

  /** @throws EverstreamError `LOG_FAILED`: the folder holds a log of another format. */
  static async open(folder: string): Promise<LmdbTables> {
    const root = await openFile(folder, FILE);
    const watch = watchFile(folder, FILE);
    try {
      return new LmdbTables(root, folder, watch);
    } catch (error) {
      closeSync(watch);
      await root.close();
      throw error;
    }
  }

  get state(): Readonly<LogState> {
    return (this.#log.get("state") as LogState | undefined) ?? FIRST_STATE;
  }

  get epochs(): readonly Epoch[] {
    return (this.#log.get("epochs") as readonly Epoch[] | undefined) ?? [];
  }

  setState(changes: Changes, state: Readonly<LogState>): void {
    changes.put(this.#log, "state", state);
  }

  setEpochs(changes: Changes, epochs: readonly Epoch[], format = FORMAT): void {
    changes.put(this.#log, "format", format);
    changes.put(this.#log, "epochs", epochs);
  }

  /**
   * Whether commits are to be small, for want of space.
   *
   * @throws Error where what is committed would be found by nobody.
   */
  get isShortOfSpace(): boolean {
    assertThere(this.#folder, this.#watch);
    return isShortOfSpace(this.#folder);
  }

  /** Whether a commit failed in lmdb. */
  get hasFailed(): boolean {
    return this.#hasFailed;
  }

  /** Writes all changes or none. Resolves when they are on disk. */
  async commit(changes: Changes): Promise<void> {
    const { length, bytes } = changes;
    assertSpace(this.#folder, { changes: length, bytes }, () => roomIn(this.#root));
    try {
      await written(this.#root.batch(() => changes.write()));
    } catch (error) {
      this.#hasFailed = true;
      throw error;
    }
  }

  async close(): Promise<void> {
    closeSync(this.#watch);
    await this.#root.close();
  }

  /** Takes options of which lmdb's types do not know too. */
  #table<Value, K extends Key>(options: object): Database<Value, K> {
    return this.#root.openDB(MAIN, options);
  }

  #assertFormat(): void {
    const format = this.#log.get("format");
    if (format === undefined || format === FORMAT) return;
    throw new EverstreamError(
      "LOG_FAILED",
      `The log in ${this.#folder} has data format ${format}, and this version of everstream reads ${FORMAT}: use the version that wrote it, or another folder.`,
    );
  }
}

/** Reads of an event what trimming must know. Nobody writes so. */
const MEASURES = {
  encode(): never {
    throw new TypeError("This view of the events is for reading.");
  },
  decode: measureStored,
};
