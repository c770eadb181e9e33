import { EverstreamError } from "../errors.ts";

/** One event of a stream, as HTML 9.2.6 dispatches it. */
export interface ParsedEvent {
  /** The event type, `message` where the stream names none. */
  event: string;
  /** The payload; its lines are joined by LF. */
  data: string;
  /** The last event ID as this event leaves it: its own `id`, or that of the latest block that had one. */
  lastEventId: string;
}

/**
 * What a parser reports, in the stream's order, before `push` returns. An error that a callback throws leaves `push`
 * and ends the parser: the rest of the chunk is lost, so going on would be a silent hole. `end()` may be called in a
 * callback and stops the reports at once; `push` may not and throws there.
 */
export interface ParserOptions {
  onEvent: (event: ParsedEvent) => void;
  /** A block set the last event ID and fired no event. Events bring theirs with them. */
  onId?: ((id: string) => void) | undefined;
  /**
   * The stream asks for this reconnection time in milliseconds. A figure beyond 2^53 - 1 is reported as that; mind
   * that timers hold no more than 2^31 - 1.
   */
  onRetry?: ((ms: number) => void) | undefined;
  /** A comment line's text, without the colon and one space after it. */
  onComment?: ((comment: string) => void) | undefined;
  /**
   * The most that one block may take, from its first `event`, `data` or `id` to its blank line with all that stands
   * between: fields, comments, line ends. Before that any number of lines may come that leave nothing behind, as comments
   * do, though none may be longer. Counted in bytes, or in UTF-16 units for what is pushed as strings. 1 MiB by default;
   * Infinity lifts it.
   */
  maxEventBytes?: number | undefined;
  /** The last event ID to start with: that of the connection which this one continues. None by default. */
  lastEventId?: string | undefined;
}

/** A parser of one event stream, made by {@link createParser}. */
export interface EventParser {
  /**
   * Takes the next piece of the stream, cut anywhere. Bytes are not kept: their buffer may be used again.
   *
   * @throws EverstreamError `EVENT_TOO_LARGE`: a block is over `maxEventBytes`; all events before it were reported.
   *   `PARSER_ENDED`: the parser was ended or has failed, or this is called inside one of its callbacks.
   */
  push(chunk: Uint8Array | string): void;
  /** Ends the stream. What follows the last blank line is dropped, as the standard wants. May be called twice. */
  end(): void;
  /** The last event ID as of the last blank line: what a request that continues this stream should carry. */
  readonly lastEventId: string;
}

/**
 * Makes a parser of `text/event-stream`. It obeys HTML 9.2.5 and 9.2.6 at every split of the input, and takes time in
 * proportion to its length however it is cut.
 */
export function createParser(options: ParserOptions): EventParser {
  return new Parser(options);
}

const LF = 10;
const CR = 13;
const SPACE = 32;
const COLON = 58;
const A = 97;
const D = 100;
const E = 101;
const I = 105;
const N = 110;
const T = 116;
const V = 118;
const BOM = 0xfeff;

const OPEN = 0;
// A push is under way. An error that leaves it leaves this behind, so that the parser takes nothing more.
const BUSY = 1;
const ENDED = 2;

// Larger chunks are read in pieces: their text then stays in the processor's caches (measured: up to three times the
// speed for one chunk of megabytes), and an event's data, often a slice of that text, keeps no more than this alive.
const PIECE = 65_536;

const RETRY = /^retry: ?(\d+)$/;
// For the constructor and for decode(), which each take one of the two. A BOM is the parser's to strip: a decoder that
// is not streaming would do it at every call.
const STREAM = { stream: true, ignoreBOM: true };
const whole = /* @__PURE__ */ new TextDecoder(undefined, STREAM);

class Parser implements EventParser {
  readonly #on: ParserOptions;
  lastEventId: string;

  #state = OPEN;
  /** A code unit that is dropped if it comes next: the BOM at the stream's start, the LF after a CR. */
  #skip = BOM;
  /** The line that is not complete yet: a rope, which engines extend without copying. */
  #rest = "";
  /** Bytes since the last line after which nothing was kept: a blank one, or a comment between blocks. */
  #size = 0;
  /** Line ends since then, as far as the last call of #scan has seen them. */
  #ends = 0;

  /** Keeps what has come of a character that a chunk's end has cut. */
  readonly #streaming = new TextDecoder(undefined, STREAM);
  /** The last chunk held more than ASCII, so #streaming goes on with the next. */
  #wide = false;

  // The buffers of HTML 9.2.6, `undefined` until the block has a field of that name; #type also where it is `message`.
  #data: string | undefined;
  #id: string | undefined;
  #type: string | undefined;

  constructor(options: ParserOptions) {
    this.#on = options;
    this.lastEventId = options.lastEventId ?? "";
  }

  push(chunk: Uint8Array | string): void {
    if (this.#state !== OPEN) {
      throw new EverstreamError("PARSER_ENDED", "It ended.");
    }
    this.#state = BUSY;
    const { maxEventBytes = 1_048_576 } = this.#on;
    for (let at = 0; at < chunk.length && this.#state === BUSY; ) {
      // What the bound has room for needs no check inside: a block that has used up all of it shows here.
      const room = Math.min(maxEventBytes - this.#size, PIECE);
      if (!(room > 0)) {
        throw new EverstreamError("EVENT_TOO_LARGE", `Over maxEventBytes, ${maxEventBytes}.`);
      }
      this.#read(at === 0 && chunk.length <= room ? chunk : chunk.slice(at, at + room));
      at += room;
    }
    if (this.#state === BUSY) this.#state = OPEN;
  }

  end(): void {
    this.#state = ENDED;
  }

  /**
   * Reads one piece and counts what it adds to its last block.
   *
   * Bytes are decoded as one streaming `TextDecoder` would. In Node 20 the call without `stream` is seven times as fast
   * for ASCII and half as fast for everything else; it can't keep a cut character. So it is used for as long as the
   * stream is ASCII. The two agree because a piece that ends in ASCII leaves nothing behind in the streaming one.
   */
  #read(piece: Uint8Array | string): void {
    const { length } = piece;
    let text: string;
    let narrow = true;
    if (typeof piece === "string") text = piece;
    else {
      const endsWide = (piece[length - 1] as number) > 0x7f;
      narrow = !this.#wide && !endsWide;
      text = narrow ? whole.decode(piece) : this.#streaming.decode(piece, STREAM);
      this.#wide = endsWide || text.length !== length;
    }
    this.#size += length;
    const rest = this.#rest;
    const lf = find(text, "\n", 0);
    const cr = find(text, "\r", 0);
    let start = Math.min(lf, cr) + 1;
    let blockStart = -1;
    this.#rest += text;
    // An empty text is such, too: the BOM or LF that is awaited still may come.
    if (start > text.length) return;
    // The unfinished line is joined with its end and nothing else: what follows is not copied. Without one, no part of
    // the text is cut off to be scanned: V8 tells four kinds of strings apart, flat and ropes of both widths, and a fifth,
    // slices, made all of them slower by a sixth.
    if (rest === "") start = 0;
    else if (this.#scan(rest + text.slice(0, start), 0, rest.length + lf, rest.length + cr) > 0) {
      blockStart = start;
    }
    blockStart = Math.max(this.#scan(text, start, lf, cr), blockStart);
    if (blockStart < 0) return;
    // Equal lengths: each byte, or each of a string's units, is one of the text's. Else only line ends are alike in both,
    // and are counted from the unfinished line back: it has none, and no fewer bytes than units.
    if (!narrow || text.length !== length) {
      blockStart = length - this.#rest.length + 1;
      for (let ends = this.#ends; ends >= 0; ) {
        const byte = piece[--blockStart - 1];
        if (byte === LF || byte === CR) ends--;
      }
    }
    this.#size = length - blockStart;
  }

  /**
   * Interprets the lines of `text` from `from` on (HTML 9.2.6) and keeps what no line end closes.
   *
   * The buffers live in local variables meanwhile: that is a third of the speed. A search's result is kept until it is
   * passed, so that a stream with one kind of line end is not searched for the other again and again. NUL is searched
   * for in one id at a time where the text may be UTF-16: there V8 stops at every ASCII character, one of whose bytes is 0.
   *
   * @param lf Where the text's first LF is, or its length; `cr` likewise. No place before `from` counts.
   * @returns Where the last line ends after which nothing was kept, or -1.
   */
  #scan(text: string, from: number, lf: number, cr: number): number {
    const on = this.#on;
    const { length } = text;
    let start = text.charCodeAt(from) === this.#skip ? from + 1 : from;
    let data = this.#data;
    let type = this.#type;
    let nul = -1;
    let blockStart = -1;
    let ends = start - from;
    while (start < length && this.#state === BUSY) {
      const first = text.charCodeAt(start);
      if (cr < start) cr = find(text, "\r", start);
      let end = start;
      if (first === LF || start === cr) {
        // The block's id counts from here on, also where the block fires no event.
        const id = this.#id;
        this.lastEventId = id ?? this.lastEventId;
        if (data !== undefined) on.onEvent({ event: type ?? "message", data, lastEventId: this.lastEventId });
        else if (id !== undefined) on.onId?.(id);
        data = type = this.#id = undefined;
      } else {
        if (lf < start) lf = find(text, "\n", start);
        end = Math.min(lf, cr);
        if (end === length) break;
        if (first === D && isData(text, start, end)) {
          const value = fieldValue(text, start + 4, end);
          data = data === undefined ? value : `${data}\n${value}`;
        } else if (first === I && isId(text, start, end)) {
          const value = fieldValue(text, start + 2, end);
          if (nul <= start) nul = this.#wide ? end - value.indexOf("\0") : find(text, "\0", start);
          if (nul > end) this.#id = value;
        } else if (first === E && isEvent(text, start, end)) {
          const value = fieldValue(text, start + 5, end);
          type = value && value !== "message" ? value : undefined;
        } else if (first === COLON) on.onComment?.(fieldValue(text, start, end));
        else {
          const digits = RETRY.exec(text.slice(start, end))?.[1];
          if (digits) on.onRetry?.(Math.min(Number(digits), Number.MAX_SAFE_INTEGER));
        }
      }
      start = end + 1;
      ends++;
      if (data === undefined && type === undefined && this.#id === undefined) {
        blockStart = start;
        ends = 0;
      }
      if (end === cr && text.charCodeAt(start) === LF) {
        start++;
        ends++;
      }
    }
    this.#data = data;
    this.#type = type;
    this.#ends = ends;
    this.#rest = text.slice(start);
    // A CR has ended its line, at a chunk's end too.
    this.#skip = text.charCodeAt(length - 1) === CR ? LF : -1;
    return blockStart;
  }
}

/** Where `character` comes next; the text's length, which is past everything, if it does not. */
function find(text: string, character: string, from: number): number {
  const at = text.indexOf(character, from);
  return at < 0 ? text.length : at;
}

/** A field's value: what follows the colon but one space. */
function fieldValue(text: string, colon: number, end: number): string {
  return text.slice(colon + (text.charCodeAt(colon + 1) === SPACE ? 2 : 1), end);
}

// Three names make up a stream. Their first letter told them apart; `startsWith` would take three times as long here.

function isData(text: string, at: number, end: number): boolean {
  return (
    (text.charCodeAt(at + 4) === COLON || at + 4 === end) &&
    text.charCodeAt(at + 1) === A &&
    text.charCodeAt(at + 2) === T &&
    text.charCodeAt(at + 3) === A
  );
}

function isEvent(text: string, at: number, end: number): boolean {
  return (
    (text.charCodeAt(at + 5) === COLON || at + 5 === end) &&
    text.charCodeAt(at + 1) === V &&
    text.charCodeAt(at + 2) === E &&
    text.charCodeAt(at + 3) === N &&
    text.charCodeAt(at + 4) === T
  );
}

function isId(text: string, at: number, end: number): boolean {
  return (text.charCodeAt(at + 2) === COLON || at + 2 === end) && text.charCodeAt(at + 1) === D;
}
