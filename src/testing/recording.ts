import { EverstreamError } from "../errors.ts";
import { createParser, EVENT_STREAM_TYPE, type ParsedEvent } from "../protocol/index.ts";
import { within } from "./within.ts";

/** A body that is read as it arrives, kept whole, and can be waited on. */
export abstract class Recording {
  /** By lower-case name; what came several times is joined by commas. */
  readonly headers: Record<string, string> = {};
  /** The body so far. */
  body = "";
  /** The events so far, where the body is an event stream. */
  readonly events: ParsedEvent[] = [];
  /** The comments so far, where the body is an event stream. */
  readonly comments: string[] = [];
  /** Bytes of the body so far. */
  received = 0;
  /** How the body has ended; `undefined` while more may come. */
  end: "complete" | "cut" | undefined;
  /** Resolves when the body has ended: whole, or by a connection that broke before. */
  readonly ended: Promise<"complete" | "cut">;

  #settleEnd: (how: "complete" | "cut") => void = () => undefined;
  readonly #decoder = new TextDecoder("utf-8", { ignoreBOM: true });
  readonly #parser = createParser({
    onEvent: (event) => this.events.push(event),
    onComment: (comment) => this.comments.push(comment),
    maxEventBytes: Number.POSITIVE_INFINITY,
  });
  readonly #watchers = new Set<() => void>();

  constructor() {
    this.ended = new Promise((resolve) => {
      this.#settleEnd = resolve;
    });
  }

  /**
   * Resolves with the body once it holds the text, matches, or the test passes.
   *
   * @param timeout Milliseconds. Default: 4,000.
   * @throws EverstreamError `STREAM_ENDED`: the body ended without it. `TIMEOUT`: it did not come in time. Both say what
   *   came instead.
   */
  async until(wanted: string | RegExp | ((recording: this) => boolean), timeout?: number): Promise<string> {
    const reached = (): boolean => {
      if (typeof wanted === "string") return this.body.includes(wanted);
      return typeof wanted === "function" ? wanted(this) : this.body.search(wanted) !== -1;
    };
    let check: () => void = () => undefined;
    const done = new Promise<void>((resolve, reject) => {
      check = () => {
        if (reached()) resolve();
        else if (this.end !== undefined) {
          reject(new EverstreamError("STREAM_ENDED", `The body ended before that; ${this.#seen()}`));
        }
      };
    });
    this.#watchers.add(check);
    check();
    try {
      await within(timeout, done, () => this.#seen());
    } finally {
      this.#watchers.delete(check);
    }
    return this.body;
  }

  /** Adds bytes of the body; returns their text. */
  protected add(bytes: Uint8Array): string {
    this.received += bytes.length;
    const text = this.#decoder.decode(bytes, { stream: true });
    this.body += text;
    if (this.headers["content-type"]?.startsWith(EVENT_STREAM_TYPE)) this.#parser.push(bytes);
    this.#wake();
    return text;
  }

  /** Says that nothing more will come. The first word counts. */
  protected finish(how: "complete" | "cut"): void {
    if (this.end !== undefined) return;
    this.end = how;
    this.#settleEnd(how);
    this.#wake();
  }

  #wake(): void {
    for (const check of [...this.#watchers]) check();
  }

  #seen(): string {
    return `${this.received} bytes had arrived, the last of them ${JSON.stringify(this.body.slice(-500))}`;
  }
}
