import { SharedBytes } from "../session/sink.ts";
import { atTurnEnd, type TurnMember } from "../session/turn.ts";
import type { Epochs } from "./epochs.ts";
import { eventBlock } from "./frame.ts";
import { type LogConnection, type LogEntry, type Page, sizeOf } from "./log.ts";
import type { Compaction } from "./options.ts";
import { TurnShare } from "./turn-share.ts";

/** A page is what one write takes well. */
const PAGE_BYTES = 32 * 1024;
/** Before compaction, a page may be larger by what the entries' records count for. */
const COMPACTED_PAGE_BYTES = 256 * 1024;
const PAGE_ENTRIES = 1000;
/** What is kept for others who come for the same pages: after a restart, everybody does. */
const MAX_KEPT_BYTES = 4 * 1024 * 1024;

const encoder = /* @__PURE__ */ new TextEncoder();

/** A page of the log that many readers may get: read once, encoded once. */
export class SharedPage {
  readonly page: Page;
  readonly size: number;
  readonly #epochs: Epochs;
  readonly #compaction: Compaction | undefined;
  #bytes: SharedBytes | undefined;

  constructor(page: Page, epochs: Epochs, compaction?: Compaction) {
    this.page = page;
    this.#epochs = epochs;
    this.#compaction = compaction;
    this.size = page.entries.reduce((size, { event }) => size + sizeOf(event), 0);
  }

  get bytes(): SharedBytes {
    this.#bytes ??= this.#encode();
    return this.#bytes;
  }

  idOf(entry: LogEntry): string {
    return this.#epochs.format(entry.sequence);
  }

  /** The page for somebody who may not see all of it. */
  without(hides: (entry: LogEntry) => boolean): SharedPage {
    const entries = this.page.entries.filter((entry) => !hides(entry));
    return entries.length === this.page.entries.length ? this : this.with(entries);
  }

  /** The page with other entries. */
  with(entries: readonly LogEntry[]): SharedPage {
    return new SharedPage({ ...this.page, entries }, this.#epochs, this.#compaction);
  }

  #encode(): SharedBytes {
    const { entries } = this.page;
    let text = "";
    for (const entry of this.#compaction?.compact(entries) ?? entries)
      text += eventBlock(entry, this.idOf(entry));
    return new SharedBytes(encoder.encode(text));
  }
}

/** Whose pages are shared: readers of the same topics. */
export interface PageReaders {
  readonly id: number;
  readonly topics: readonly string[];
}

/**
 * Reads the log for many. Identical reads share one promise, also for a while after it settled: what a log has once
 * said of a stretch stays true, even if it was trimmed since.
 */
export class Pages implements TurnMember {
  /** Pages are read, and written, in turns. */
  readonly turns = new TurnShare();
  readonly #connection: LogConnection;
  readonly #epochs: Epochs;
  /** Read, or being read. */
  readonly #kept = new Map<string, SharedPage | Promise<SharedPage>>();
  #keptBytes = 0;
  #used = false;
  /** By readers, what the log has said of their topics in this turn; and what the feed had handed over by then. */
  readonly #states = new Map<number, Page | Promise<Page>>();
  #statesThrough = 0;

  constructor(connection: LogConnection, epochs: Epochs) {
    this.#connection = connection;
    this.#epochs = epochs;
  }

  /** The page after a position; at once, where somebody has read it before. */
  read(readers: PageReaders, after: number, compaction?: Compaction): SharedPage | Promise<SharedPage> {
    this.#used = true;
    const key = `${readers.id}:${after}:${compaction?.key ?? ""}`;
    const kept = this.#kept.get(key);
    if (kept !== undefined) return kept;
    const reading = this.#read(readers.topics, after, compaction);
    this.#kept.set(key, reading);
    reading.then(
      (page) => this.#keep(key, reading, page),
      () => this.#keep(key, reading),
    );
    return reading;
  }

  /**
   * What the log says of the topics, without entries. All who ask in one turn of the event loop share the answer, as
   * long as the feed, which has come to `through`, brings nothing new.
   */
  states(readers: PageReaders, through: number): Page | Promise<Page> {
    if (this.#statesThrough !== through) this.#states.clear();
    this.#statesThrough = through;
    let states = this.#states.get(readers.id);
    if (states === undefined) {
      if (this.#states.size === 0) atTurnEnd(this);
      states = this.#readStates(readers);
      this.#states.set(readers.id, states);
    }
    return states;
  }

  /** Called when the turn ends. */
  onTurnEnd(): void {
    this.#states.clear();
  }

  /** Called now and then: forgets all pages where nobody has come for any since the last call. */
  sweep(): void {
    if (!this.#used) this.clear();
    this.#used = false;
  }

  /** Forgets all pages: something that was said is no longer to be repeated. */
  clear(): void {
    this.#kept.clear();
    this.#keptBytes = 0;
  }

  async #readStates({ id, topics }: PageReaders): Promise<Page> {
    const through = this.#statesThrough;
    const page = await this.#connection.read({ topics, after: 0, maxEntries: 0, maxBytes: 0 });
    // In another turn, or after news, nobody asks for it any more.
    if (this.#statesThrough === through && this.#states.has(id)) this.#states.set(id, page);
    return page;
  }

  async #read(
    topics: readonly string[],
    after: number,
    compaction: Compaction | undefined,
  ): Promise<SharedPage> {
    const maxBytes = compaction === undefined ? PAGE_BYTES : COMPACTED_PAGE_BYTES;
    const query = { topics, after, maxEntries: PAGE_ENTRIES, maxBytes };
    return new SharedPage(await this.#connection.read(query), this.#epochs, compaction);
  }

  #keep(key: string, reading: Promise<SharedPage>, page?: SharedPage): void {
    // All pages may have been forgotten since, and the same one be read anew.
    if (this.#kept.get(key) !== reading) return;
    // A page that leads nowhere would do so for ever.
    if (page === undefined || page.size === 0) {
      this.#kept.delete(key);
      return;
    }
    this.#kept.set(key, page);
    this.#keptBytes += page.size;
    if (this.#keptBytes > MAX_KEPT_BYTES) this.clear();
  }
}
