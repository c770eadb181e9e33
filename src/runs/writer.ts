import { EverstreamError, isEverstreamError } from "../errors.ts";
import type { PublishedEvent } from "../hub/index.ts";
import { PROGRESS_EVENT, TOKEN_EVENT } from "../protocol/index.ts";
import { RunAppends, type RunAppendsOptions } from "./appends.ts";

/** Text waits so long for more of it, and longer while the log or the process can't keep up. */
const MIN_WINDOW_MS = 50;
const MAX_WINDOW_MS = 250;
/** Text of this length does not wait. */
const ENOUGH = 1024;
/** The longest piece of text in one event: at six bytes a character, as JSON may need, below 32 kB. */
const PIECE = 5000;
/** While more than this waits for the log, `text` makes its caller wait. */
const MAX_WAITING = 64 * 1024;
/** How many events go to the log at once. */
const MAX_BATCH = 500;

export interface WriterOptions extends RunAppendsOptions {
  /** Nothing can be written any more: another process has the run, or the log failed for too long. Called once. */
  readonly onLost: (error: unknown) => void;
}

/** Events that go to the log next to each other, and who waits for it. */
interface Item {
  readonly events: PublishedEvent[];
  readonly size: number;
  readonly ends: boolean;
  /** Nobody waits for it: where it can't be written, the run can't go on. */
  readonly isText: boolean;
  readonly settle: (error?: unknown) => void;
}

/**
 * Writes a run's events in the order in which they are given: gathers text for a moment, and lets what waits together share
 * an append. Whoever else writes to the topic, or ends it, takes this writer's right away: its next append is refused, and
 * it is lost for good.
 */
export class RunWriter {
  readonly #appends: RunAppends;
  readonly #onLost: (error: unknown) => void;
  #queue: Item[] = [];
  /** How many of the queue are tried one by one, since one of them was refused. */
  #toTryAlone = 0;
  #text = "";
  /** What was accepted by `text` and `send` and not yet by the log, in characters. */
  #waiting = 0;
  #room: (() => void)[] = [];
  #busy = false;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #windowMs = MIN_WINDOW_MS;
  #dueAt = 0;
  #textWasWritten = false;
  #closed = false;
  #lost = false;

  constructor(options: WriterOptions) {
    this.#appends = new RunAppends(options);
    this.#onLost = options.onLost;
  }

  /** Resolves when there is room for more; rejects once nothing can be written. */
  ready(): Promise<void> {
    if (this.#closed) return handled(Promise.reject(endedError()));
    return this.#waiting <= MAX_WAITING ? Promise.resolve() : handled(this.#untilRoom());
  }

  /** Joins a piece of text with what waits. Resolves when there is room for more. */
  text(chunk: string): Promise<void> {
    if (this.#closed) return handled(Promise.reject(endedError()));
    this.#text += chunk;
    this.#waiting += chunk.length;
    if (!this.#busy && (!this.#textWasWritten || this.#text.length >= ENOUGH)) {
      this.#flushText();
      this.#drain();
    } else if (this.#timer === undefined) this.#startTimer();
    return this.ready();
  }

  /** Writes an event after everything before it. Resolves when the log has it. */
  send(event: PublishedEvent, size: number): Promise<void> {
    if (this.#closed) return handled(Promise.reject(endedError()));
    return handled(this.#enqueue([event], size, false));
  }

  /**
   * Writes what waits and then the last event, with the topic's end; another in its place, where it can't be sent.
   * Resolves to whether the end is there: not where the writer was lost.
   */
  async end(event: PublishedEvent, otherwise: PublishedEvent): Promise<boolean> {
    if (this.#closed) return false;
    const written = this.#enqueue([event], 0, true);
    this.#close();
    try {
      await written.catch((error: unknown) => {
        if (!isFaultOfEvent(error)) throw error;
        return this.#enqueue([otherwise], 0, true);
      });
      return true;
    } catch {
      return false;
    }
  }

  /** Writes what waits, and leaves the topic open for another process. */
  async leave(): Promise<void> {
    if (this.#closed) return;
    this.#flushText();
    const { promise, settle } = settler();
    this.#queue.push({ events: [], size: 0, ends: false, isText: false, settle });
    this.#close();
    this.#drain();
    await promise.catch(() => undefined);
  }

  #enqueue(events: PublishedEvent[], size: number, ends: boolean): Promise<void> {
    this.#flushText();
    this.#waiting += size;
    const { promise, settle } = settler();
    this.#queue.push({ events, size, ends, isText: false, settle });
    this.#drain();
    return promise;
  }

  /** Takes no more. */
  #close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#giveRoom();
  }

  #startTimer(): void {
    this.#dueAt = performance.now() + this.#windowMs;
    this.#timer = setTimeout(() => this.#onTimer(), this.#windowMs);
  }

  #onTimer(): void {
    this.#timer = undefined;
    // A log that is still at work, or a timer that comes late, says that the process is doing all it can.
    const pressed = this.#busy || performance.now() - this.#dueAt > MIN_WINDOW_MS / 2;
    this.#windowMs = pressed
      ? Math.min(this.#windowMs * 2, MAX_WINDOW_MS)
      : Math.max(this.#windowMs / 2, MIN_WINDOW_MS);
    if (this.#text === "") return;
    if (this.#busy) this.#startTimer();
    else {
      this.#flushText();
      this.#drain();
    }
  }

  #flushText(): void {
    if (this.#text === "") return;
    const text = this.#text;
    this.#text = "";
    this.#textWasWritten = true;
    const events = piecesOf(text).map((content) => ({ type: TOKEN_EVENT, data: { content } }));
    this.#queue.push({ events, size: text.length, ends: false, isText: true, settle: () => undefined });
  }

  #drain(): void {
    if (this.#busy || this.#queue.length === 0) return;
    this.#busy = true;
    void this.#work();
  }

  async #work(): Promise<void> {
    while (this.#queue.length > 0 && !this.#lost) {
      const items = this.#nextBatch();
      try {
        await this.#append(items);
        for (const { settle } of items) settle();
      } catch (error) {
        this.#onRefused(items, error);
      }
      for (const { size } of items) this.#waiting -= size;
      if (this.#waiting <= MAX_WAITING) this.#giveRoom();
    }
    this.#busy = false;
    if (this.#text.length >= ENOUGH && !this.#closed) {
      this.#flushText();
      this.#drain();
    }
  }

  /** Neighbours that can share an append. After a progress there is a cut, so that what follows can name its position. */
  #nextBatch(): Item[] {
    if (this.#toTryAlone > 0) {
      this.#toTryAlone--;
      return this.#queue.splice(0, 1);
    }
    let count = 0;
    let events = 0;
    for (const item of this.#queue) {
      if (count > 0 && events + item.events.length > MAX_BATCH) break;
      count++;
      events += item.events.length;
      if (isProgress(item)) break;
    }
    return this.#queue.splice(0, count);
  }

  async #append(items: readonly Item[]): Promise<void> {
    const events = items.flatMap((item) => item.events);
    if (events.length === 0) return;
    await this.#appends.append(events, items.at(-1)?.ends === true);
  }

  /** One event that can't be sent is its sender's fault alone; among several it has to be found. */
  #onRefused(items: readonly Item[], error: unknown): void {
    const [first] = items as [Item];
    if (!isFaultOfEvent(error) || (items.length === 1 && first.isText)) this.#lose(error, items);
    else if (items.length > 1) {
      this.#queue.unshift(...items);
      for (const { size } of items) this.#waiting += size;
      this.#toTryAlone = items.length;
    } else first.settle(error);
  }

  #lose(error: unknown, items: readonly Item[]): void {
    this.#lost = true;
    const left = [...items, ...this.#queue];
    this.#queue = [];
    this.#close();
    for (const { settle } of left) settle(endedError(error));
    this.#onLost(error);
  }

  #untilRoom(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#room.push(() => {
        if (this.#closed) reject(endedError());
        else resolve();
      });
    });
  }

  #giveRoom(): void {
    const waiting = this.#room;
    this.#room = [];
    for (const tell of waiting) tell();
  }
}

/** Cuts a text, but no character. */
function piecesOf(text: string): string[] {
  const pieces: string[] = [];
  for (let from = 0; from < text.length; ) {
    let to = Math.min(from + PIECE, text.length);
    const last = text.charCodeAt(to - 1);
    if (to < text.length && last >= 0xd800 && last <= 0xdbff) to--;
    pieces.push(text.slice(from, to));
    from = to;
  }
  return pieces;
}

function isProgress({ events }: Item): boolean {
  return events[0]?.type === PROGRESS_EVENT;
}

function isFaultOfEvent(error: unknown): boolean {
  return (
    isEverstreamError(error, "INVALID_EVENT") ||
    isEverstreamError(error, "RESERVED_TYPE") ||
    isEverstreamError(error, "NOT_SERIALIZABLE") ||
    isEverstreamError(error, "EVENT_TOO_LARGE")
  );
}

/** A promise whose rejection nobody has to catch: producers that do not await must not bring the process down. */
function handled(promise: Promise<void>): Promise<void> {
  promise.catch(() => undefined);
  return promise;
}

function settler(): { promise: Promise<void>; settle: (error?: unknown) => void } {
  let settle: (error?: unknown) => void = () => undefined;
  const promise = new Promise<void>((resolve, reject) => {
    settle = (error) => {
      if (error === undefined) resolve();
      else reject(error);
    };
  });
  return { promise, settle };
}

function endedError(cause?: unknown): EverstreamError {
  return new EverstreamError(
    "STREAM_ENDED",
    "This run is over, or another process has it; nothing can be written to it any more.",
    { cause },
  );
}
