import { EverstreamError } from "../errors.ts";
import { encodeEvent } from "../protocol/index.ts";
import type { CloseReason } from "./close-reason.ts";
import { drainSpread } from "./drain-spread.ts";
import { Held } from "./held.ts";
import type { SessionSettings } from "./options.ts";
import { joinPulse, leavePulse, PulseMember, pulseSize } from "./pulse.ts";
import { type CloseListener, deferred, SessionExtras } from "./session-extras.ts";
import type { SharedBytes, Sink, SinkCloseReason, SinkOwner } from "./sink.ts";
import { atTurnEnd, breathe } from "./turn.ts";

/** Joined text is handed to the sink before the turn ends when it has grown to this many characters. */
const JOIN_LIMIT = 16 * 1024;
/** After so long without a write, and before each heartbeat, its owner is asked for something worth writing. */
const IDLE_MS = 10_000;
/** How often a session asks whether its server is closing, at the least. */
const SERVER_CHECK_MS = 1000;

/**
 * Work that goes on after its client has left, an answer that is also stored, may write so often without being held up.
 * A loop that has written more than this into nothing has no other end than being put to rest.
 */
const MAX_LATE_WRITES = 10_000;
const LATE_PAUSE_MS = 1000;

/** Whom a session reports to, as an object that its owner has anyway: closures would cost each session their memory. */
export interface SessionOwner {
  /** A sink was attached, or a full one has room again. */
  onSessionDrain(): void;
  /** The session has written nothing for a while, or its server closes: what it writes now saves it a heartbeat. */
  onSessionIdle(): void;
  /** The session has ended. Called once, before the listeners of {@link Session.onClose}. */
  onSessionClose(reason: CloseReason): void;
}

/**
 * One open response: the only place where a stream ends. Whoever ends it, the client, the server or the transport,
 * comes through {@link Session.end}; it acts once.
 *
 * Two ways to write: {@link Session.write} joins the text of one turn of the event loop into one write, and
 * {@link Session.deliver} hands over bytes that were already joined, as a hub does.
 */
export class Session extends PulseMember implements SinkOwner {
  readonly settings: SessionSettings;
  /** Told what happens, until the end. */
  owner: SessionOwner | undefined;

  #sink: Sink | undefined;
  /** Text that waits for the turn's end. */
  #joined = "";
  #reason: CloseReason | undefined;
  #lastWriteAt: number;
  #extras: SessionExtras | undefined;

  constructor(settings: SessionSettings) {
    super();
    this.settings = settings;
    this.#lastWriteAt = nowMs();
  }

  /** Connects the transport. What was written before leaves now or at the end of the turn. */
  attach(sink: Sink): void {
    this.#sink = sink;
    this.#flush();
    if (this.#reason !== undefined) sink.end();
    // Either may have found the transport gone.
    if (this.#sink === undefined) return;
    joinPulse(this, this.#nextPulse(performance.now()));
    if (this.#reason === undefined) this.owner?.onSessionDrain();
  }

  get closeReason(): CloseReason | undefined {
    return this.#reason;
  }

  get closed(): boolean {
    return this.#reason !== undefined;
  }

  /** Bytes (characters, where still text) that were written and not taken yet. */
  get pending(): number {
    return this.#joined.length + (this.#sink?.pending ?? 0);
  }

  /** The transport wants no more for now, or is not attached yet; the owner is told when that changes. */
  get full(): boolean {
    return this.#sink?.full ?? this.#reason === undefined;
  }

  /** Aborted at the end of the session, whatever ended it. Made when first asked for. */
  get signal(): AbortSignal {
    const extras = this.#withExtras();
    if (extras.controller === undefined) {
      extras.controller = new AbortController();
      if (this.#reason !== undefined) extras.controller.abort(endedError(this.#reason));
    }
    return extras.controller.signal;
  }

  /** Calls `listener` once at the end; at once where the end has been. Returns how to take it back. */
  onClose(listener: CloseListener): () => void {
    if (this.#reason !== undefined) {
      listener(this.#reason);
      return () => undefined;
    }
    const extras = this.#withExtras();
    extras.listeners ??= new Set();
    extras.listeners.add(listener);
    return () => extras.listeners?.delete(listener);
  }

  /** Writes text, joined with this turn's other writes. After the end it does nothing. */
  write(text: string): void {
    if (this.#reason !== undefined || this.#overflows()) return;
    if (this.#joined === "") atTurnEnd(this);
    this.#joined += text;
    if (this.#joined.length >= JOIN_LIMIT) this.#flush();
  }

  /** Writes bytes now, after whatever text waits for the turn's end. After the end it does nothing. */
  deliver(bytes: SharedBytes): void {
    const sink = this.#sink;
    // An empty chunk would be the last one of an HTTP/1.1 body.
    if (this.#reason !== undefined || sink === undefined || bytes.length === 0) return;
    if (this.#joined !== "") this.#flush();
    if (this.#overflows()) return;
    sink.writeShared(bytes);
    this.#wrote(bytes.length, sink);
  }

  /**
   * Resolves when less than the high-water mark is pending, or the session has ended; and not before the event loop has
   * gone round, where writers have had this turn to themselves for long enough.
   */
  ready(): Promise<void> {
    if (this.#reason !== undefined) {
      return this.#withExtras().lateWrites++ < MAX_LATE_WRITES ? breathe() : latePause();
    }
    if (!this.#sink?.full || this.pending <= this.settings.highWaterMark) return breathe();
    const extras = this.#withExtras();
    extras.drained ??= deferred();
    return extras.drained.promise;
  }

  /**
   * Ends the session. What was written still leaves, unless the transport is gone or `destroy` is asked for; the stall
   * timeout goes on until the transport has closed, so a client that does not read can't hold it open.
   */
  end(reason: CloseReason, options?: { destroy?: boolean }): void {
    if (this.#reason !== undefined) return;
    if (options?.destroy !== true) this.#flush();
    // A write of the flush may have found the transport gone.
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    const sink = this.#sink;
    if (options?.destroy === true) sink?.destroy();
    else sink?.end();
    this.#settle(reason);
  }

  /** Called when the turn ends. */
  onTurnEnd(): void {
    this.#flush();
  }

  /** Called by the sink when it takes more again. */
  onSinkDrain(): void {
    this.#extras?.onDrain();
    this.owner?.onSessionDrain();
  }

  /** Called by the sink when it is gone. */
  onSinkClose(reason: SinkCloseReason): void {
    leavePulse(this);
    this.#sink = undefined;
    this.#joined = "";
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#settle(reason);
  }

  /** @internal */
  override onPulse(now: number): number {
    const sink = this.#sink;
    if (sink === undefined) return 0;
    if (this.#isStalled(now, sink)) {
      if (this.#reason === undefined) this.end("stalled", { destroy: true });
      else sink.destroy();
      return 0;
    }
    if (this.#reason === undefined) {
      if (sink.serverClosing) {
        // As at any drain, a client leaves with all that its owner knows of its place.
        this.owner?.onSessionIdle();
        // The spread has to come from the server: all of its clients are sent away now.
        this.write(encodeEvent({ retry: Math.round(Math.random() * drainSpread(pulseSize())) }));
        this.end("drained");
      } else if (sink.pending === 0) {
        this.#onIdle(now - this.#lastWriteAt);
      }
    }
    return this.#nextPulse(now);
  }

  #onIdle(idleMs: number): void {
    const { heartbeat } = this.settings;
    const beats = heartbeat !== undefined && idleMs >= heartbeat.everyMs;
    // Asked before a heartbeat, or short ones would not let it come to its turn.
    if (beats || idleMs >= IDLE_MS) this.owner?.onSessionIdle();
    if (beats && (this.#joined === "" || heartbeat.isVisible)) this.deliver(heartbeat.bytes);
  }

  #flush(): void {
    const sink = this.#sink;
    if (this.#joined === "" || sink === undefined) return;
    const text = this.#joined;
    this.#joined = "";
    this.#wrote(sink.writeText(text), sink);
  }

  /** Ends a session whose client can't keep up with code that does not wait for it. */
  #overflows(): boolean {
    if (this.pending <= this.settings.maxPendingBytes) return false;
    this.end("slow", { destroy: true });
    return true;
  }

  #wrote(length: number, { pending }: Sink): void {
    this.#lastWriteAt = nowMs();
    const held = this.#extras?.held;
    if (held !== undefined) held.add(length);
    else if (pending > 0) this.#withExtras().held = new Held(this.#lastWriteAt, pending);
  }

  #isStalled(now: number, { pending }: Sink): boolean {
    if (pending === 0) {
      if (this.#extras !== undefined) this.#extras.held = undefined;
      return false;
    }
    const extras = this.#withExtras();
    extras.held ??= new Held(now, pending);
    const { stallTimeoutMs } = this.settings;
    const stalledMs = extras.held.stalledFor(now, pending, stallTimeoutMs / 2);
    return stallTimeoutMs > 0 && stalledMs >= stallTimeoutMs;
  }

  #nextPulse(now: number): number {
    const { heartbeat, stallTimeoutMs } = this.settings;
    let delay = SERVER_CHECK_MS;
    if (stallTimeoutMs > 0) delay = Math.min(delay, stallTimeoutMs / 4);
    if (heartbeat !== undefined && this.#reason === undefined) {
      const left = heartbeat.everyMs - (now - this.#lastWriteAt);
      delay = Math.min(delay, left > 0 ? left : heartbeat.everyMs);
    }
    return Math.max(delay, 1);
  }

  #settle(reason: CloseReason): void {
    const extras = this.#extras;
    extras?.releaseWriters();
    const { owner } = this;
    this.owner = undefined;
    // Before the listeners, some of which pass the signal's reason on.
    extras?.controller?.abort(endedError(reason));
    owner?.onSessionClose(reason);
    const listeners = extras?.listeners;
    if (extras === undefined || listeners === undefined) return;
    extras.listeners = undefined;
    for (const listener of listeners) listener(reason);
  }

  #withExtras(): SessionExtras {
    this.#extras ??= new SessionExtras();
    return this.#extras;
  }
}

/** Whole milliseconds: V8 keeps small integers in the object itself, and any other number beside it. */
function nowMs(): number {
  return Math.floor(performance.now());
}

function latePause(): Promise<void> {
  return new Promise((resolve) => {
    const timer: unknown = setTimeout(resolve, LATE_PAUSE_MS);
    // Node's timers, but not the web's, would keep the process alive.
    if (typeof timer === "object") (timer as NodeJS.Timeout).unref();
  });
}

function endedError(reason: CloseReason): EverstreamError {
  return new EverstreamError(
    "STREAM_ENDED",
    `The stream has ended (${reason}); nothing can be sent to it any more.`,
  );
}
