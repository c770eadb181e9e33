import { EverstreamError, invalidOption } from "../errors.ts";
import { assertFunction, hasMethod } from "../input.ts";
import { assertUserEventType, ERROR_EVENT, encodeEvent } from "../protocol/index.ts";
import type { CloseReason } from "./close-reason.ts";
import { report } from "./report.ts";
import type { Session } from "./session.ts";
import { SharedBytes } from "./sink.ts";
import { jsonOf, textOfData } from "./text-of-data.ts";
import { noticed } from "./write-result.ts";

/** One event for {@link EventStreamWriter.writeSSE}. */
export interface SSEMessage {
  /** The payload. A promise holds its place: what is written later arrives later. Anything but text goes as JSON. */
  data: string | Promise<string>;
  /** The event type; without it, `message`. */
  event?: string;
  /** The last event ID that a returning client sends. */
  id?: string;
  /** The reconnection time in milliseconds. */
  retry?: number;
}

const RESOLVED: Promise<void> = Promise.resolve();

/**
 * What a callback writes to: one client's event stream.
 *
 * After the end, `writeSSE`, `write`, `writeln` and `comment` do nothing and resolve, so that a timer that fires late is
 * quiet; `send` and `sleep` reject with `STREAM_ENDED`, so that a loop stops by itself. An awaited write waits only while
 * more than the high-water mark is pending, and never past the end.
 */
export class EventStreamWriter {
  /** The client's cursor: what it sent as `Last-Event-ID` (or `?lastEventId=`), if anything. */
  readonly lastEventId: string | undefined;
  readonly #session: Session;
  /** Settles when all that was written has its place on the wire; `undefined` when nothing waits for its data. */
  #order: Promise<void> | undefined;
  #events = 0;
  #lastType: string | undefined;

  constructor(session: Session, lastEventId?: string) {
    this.#session = session;
    this.lastEventId = lastEventId;
  }

  /** Aborted once the stream has ended, whatever ended it; give it to whatever works for this client. */
  get signal(): AbortSignal {
    return this.#session.signal;
  }

  /** The stream ended by anything but `close()` or the callback's end: the client left, for one. */
  get aborted(): boolean {
    const { closeReason } = this.#session;
    return closeReason !== undefined && closeReason !== "finished";
  }

  /** The stream has ended. */
  get closed(): boolean {
    return this.#session.closed;
  }

  /** Resolves with the reason once the stream has ended. */
  get closeReason(): Promise<CloseReason> {
    return new Promise((resolve) => {
      this.#session.onClose(resolve);
    });
  }

  /**
   * How many events, or raw parts of some, were written so far.
   * @internal
   */
  get eventCount(): number {
    return this.#events;
  }

  /**
   * The last event that was written is of the type `error`: the client has been told.
   * @internal
   */
  get toldError(): boolean {
    return this.#lastType === ERROR_EVENT;
  }

  /**
   * Writes one event.
   *
   * @throws EverstreamError (as a rejection) `INVALID_EVENT` or `RESERVED_TYPE`; nothing was written then.
   */
  writeSSE(message: SSEMessage): Promise<void> {
    // An end is said quietly, however wrong what comes after it is.
    const { event, id, retry } = Object(message) as SSEMessage;
    return this.#inOrder(
      () => {
        if (typeof message !== "object" || message === null) throw invalidMessage();
        return message.data === undefined && event === undefined ? undefined : textOfData(message.data ?? "");
      },
      (data) => this.#put(event, data, id, retry),
    );
  }

  /**
   * Writes one event with `data` as JSON.
   *
   * @throws EverstreamError (as a rejection) `STREAM_ENDED`, `INVALID_EVENT`, `RESERVED_TYPE`, or `NOT_SERIALIZABLE`.
   */
  send(type: string, data?: unknown): Promise<void> {
    if (this.closed) return quietRejection(this.#session.signal.reason);
    return this.#inOrder(
      () => (data === undefined ? "" : jsonOf(data)),
      (text) => this.#put(type, text),
    );
  }

  /** Writes a comment, which keeps the connection alive and which no listener sees. */
  comment(text: string): Promise<void> {
    return this.#inOrder(nothing, () => this.#session.write(encodeEvent({ comment: text })));
  }

  /**
   * Writes raw text or bytes of the stream's format.
   *
   * @throws EverstreamError (as a rejection) `INVALID_EVENT` for what is neither.
   */
  async write(input: Uint8Array | string): Promise<this> {
    await this.#inOrder(nothing, () => {
      if (typeof input === "string") this.#session.write(input);
      else if (ArrayBuffer.isView(input)) this.#session.deliver(new SharedBytes(input));
      else throw new EverstreamError("INVALID_EVENT", "`write` takes text or bytes; `send` takes data.");
      this.#events++;
    });
    return this;
  }

  /** Writes raw text and a line feed. */
  writeln(input: string): Promise<this> {
    return this.write(`${input}\n`);
  }

  /**
   * Writes all that `body` yields, at the client's pace. At the stream's end it cancels `body` and resolves.
   *
   * @throws EverstreamError (as a rejection) `INVALID_OPTION` for what is no `ReadableStream`; `INVALID_EVENT`, as `write`.
   */
  async pipe(body: ReadableStream): Promise<void> {
    if (!hasMethod(body, "getReader")) throw invalidOption("`body` must be a ReadableStream.");
    const reader = body.getReader() as ReadableStreamDefaultReader<Uint8Array | string>;
    const cancel = (): void => {
      reader.cancel(this.#session.signal.reason).catch(ignoreCancelFailure);
    };
    const forget = this.#session.onClose(cancel);
    try {
      for (let part = await reader.read(); !part.done; part = await reader.read())
        await this.write(part.value);
    } catch (error) {
      if (!this.closed) throw error;
    } finally {
      forget();
      reader.releaseLock();
    }
  }

  /**
   * Waits.
   *
   * @param ms Milliseconds.
   * @throws EverstreamError (as a rejection) `STREAM_ENDED`, as soon as the stream ends.
   */
  sleep(ms: number): Promise<void> {
    const session = this.#session;
    if (session.closed) return quietRejection(session.signal.reason);
    const slept = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        forget();
        resolve();
      }, ms);
      const forget = session.onClose(() => {
        clearTimeout(timer);
        reject(session.signal.reason);
      });
    });
    slept.catch(ignoreEnd);
    return slept;
  }

  /** Calls `listener` when the stream ends by anything but its finish; at once where it has. Each runs once. */
  onAbort(listener: () => void | Promise<void>): void {
    assertFunction("listener", listener);
    this.#session.onClose((reason) => {
      if (reason === "finished") return;
      // A failing listener is its owner's affair; it must neither stop the others nor end the process.
      try {
        Promise.resolve(listener()).catch(reportListener);
      } catch (error) {
        reportListener(error);
      }
    });
  }

  /** Ends the stream in good order, after all that was written. */
  async close(): Promise<void> {
    await this.settled();
    this.#session.end("finished");
  }

  /** Ends the stream now, as if the client had left. */
  abort(): void {
    this.#session.end("aborted");
  }

  /**
   * Resolves when all that was written has its place on the wire, or the stream has ended.
   * @internal
   */
  settled(): Promise<void> {
    return this.#order === undefined ? RESOLVED : untilEnd(this.#session, this.#order);
  }

  #put(event: string | undefined, data: string | undefined, id?: string, retry?: number): void {
    if (event !== undefined) assertUserEventType(event);
    // Callers without types pass counters as ids.
    this.#session.write(encodeEvent({ event, data, id: typeof id === "number" ? String(id) : id, retry }));
    this.#events++;
    this.#lastType = event;
  }

  /** Runs `work` on what `prepare` gave when all earlier writes have run; at once where nothing has to be waited for. */
  #inOrder<T>(prepare: () => T | Promise<T>, work: (value: T) => void): Promise<void> {
    const session = this.#session;
    if (session.closed) return session.ready();
    let value: T | Promise<T>;
    try {
      value = prepare();
      if (this.#order === undefined && !(value instanceof Promise)) {
        work(value);
        return session.ready();
      }
    } catch (error) {
      return noticed(Promise.reject(error));
    }
    const done = Promise.all([value, this.#order]).then(([ready]) => {
      if (!session.closed) work(ready);
    });
    const order = done.catch(leaveToWriter).then(() => {
      if (this.#order === order) this.#order = undefined;
    });
    this.#order = order;
    return noticed(
      untilEnd(
        session,
        done.then(() => session.ready()),
      ),
    );
  }
}

function invalidMessage(): EverstreamError {
  return new EverstreamError("INVALID_EVENT", "`writeSSE` takes an object with `data`; `write` takes text.");
}

/** For writes that have their text at hand. */
function nothing(): undefined {
  return undefined;
}

/** Settles as `work` does, but resolves at the stream's end where that comes first. */
function untilEnd(session: Session, work: Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    const forget = session.onClose(() => resolve());
    work.then(resolve, reject).finally(forget);
  });
}

/** A rejection that ends no process when nobody waits for it; who awaits it sees it all the same. */
function quietRejection(reason: unknown): Promise<never> {
  const rejected = Promise.reject<never>(reason);
  rejected.catch(ignoreEnd);
  return rejected;
}

function ignoreEnd(): void {
  // The end is no news to whoever did not wait for it.
}

function ignoreCancelFailure(): void {
  // A source that fails to cancel has nobody left to tell.
}

function leaveToWriter(): void {
  // Whoever wrote it hears of it; what was written after it goes on.
}

function reportListener(error: unknown): void {
  report("An onAbort listener failed", error);
}
