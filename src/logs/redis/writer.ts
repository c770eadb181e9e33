import { EverstreamError } from "../../errors.ts";
import type { AppendRequest, AppendResult, Epoch } from "../../hub/log.ts";
import { nextTurn } from "../next-turn.ts";
import { type EncodedAppend, encodeAppend, expectsWhatIsLost, parseResult, SKIPPED } from "./append-args.ts";
import { retryDelay } from "./client.ts";
import { closedError, isPassing, isUnanswered, redisError } from "./failure.ts";
import type { Lane } from "./lane.ts";
import type { RedisSettings } from "./options.ts";
import { APPEND } from "./script-append.ts";
import { MARK } from "./scripts.ts";
import { pause } from "./timing.ts";

/** How many calls are under way at once: while Redis does one, the next one is made. */
const MAX_CALLS = 2;
/** A call ends with the append that brings it over one of these, so that nobody waits long for Redis' one thread. */
const CALL_EVENTS = 500;
const CALL_BYTES = 256 * 1024;
/** How often it is looked whether an append's time is over. */
const LOOK_MS = 50;
/** How long closing waits for what is under way. */
const CLOSE_MS = 1000;

/** What a writer asks of its connection. */
export interface WriterHost {
  readonly settings: RedisSettings;
  readonly lane: Lane;
  readonly node: string;
  /** The epochs that the feed has told of. */
  readonly epochs: readonly Epoch[];
  readonly epoch: string;
  offer(): string;
  /** Has the mailbox made anew, which tells of a new epoch and mends the numbering of calls. */
  lost(): void;
  told(epoch: string, withinMs: number): Promise<void>;
}

interface Append {
  readonly request: AppendRequest;
  readonly encoded: EncodedAppend;
  readonly deadline: number;
  /** The epochs when it was asked for. */
  readonly epochs: readonly Epoch[];
  readonly resolve: (result: AppendResult) => void;
  readonly reject: (error: EverstreamError) => void;
  isSettled: boolean;
}

/** Appends that travel together. A call keeps its number until Redis has answered, however often it is sent. */
interface Call {
  readonly number: number;
  readonly appends: readonly Append[];
  readonly events: number;
  isUnderWay: boolean;
}

/**
 * Sends appends in the order in which they were asked for. Those that come while others are under way share the next call.
 * A call whose answer is lost is sent again, under its number, until it is answered: so nothing is stored twice, and what
 * somebody was told to have failed is not stored later.
 */
export class Writer {
  readonly #host: WriterHost;
  #queue: Append[] = [];
  #calls: Call[] = [];
  #next = 1;
  #pending = 0;
  #pendingBytes = 0;
  #isScheduled = false;
  #mending: Promise<void> | undefined;
  #watch: ReturnType<typeof setInterval> | undefined;
  #closed = false;

  constructor(host: WriterHost) {
    this.#host = host;
    host.lane.onReady = () => this.#flush();
  }

  /** The number of the first call that is not settled. */
  get firstOpenCall(): number {
    return this.#calls[0]?.number ?? this.#next;
  }

  append(request: AppendRequest): Promise<AppendResult> {
    const { settings, lane, epochs } = this.#host;
    if (this.#closed) return Promise.reject(closedError());
    if (settings.failsOffline && !lane.isReady) {
      return Promise.reject(redisError("be reached", "the connection is lost; nothing was stored"));
    }
    const encoded = encodeAppend(request);
    if (
      this.#pending >= settings.maxPending ||
      this.#pendingBytes + encoded.bytes > settings.maxPendingBytes
    ) {
      const text = "as much waits for it as may (`maxPending`, `maxPendingBytes`); nothing was stored";
      return Promise.reject(redisError("store the event", text));
    }
    this.#pending++;
    this.#pendingBytes += encoded.bytes;
    return new Promise((resolve, reject) => {
      const deadline = performance.now() + settings.timeoutMs;
      this.#queue.push({ request, encoded, deadline, epochs, resolve, reject, isSettled: false });
      this.#watch ??= setInterval(() => this.#look(), LOOK_MS);
      if (this.#isScheduled) return;
      this.#isScheduled = true;
      nextTurn(() => {
        this.#isScheduled = false;
        this.#flush();
      });
    });
  }

  /** Nothing new is taken; what is under way may still be answered. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const append of this.#queue) this.#fail(append, closedError());
    this.#queue = [];
    await pause(CLOSE_MS, () => this.#pending === 0 || !this.#host.lane.isReady);
    for (const { appends } of this.#calls) for (const append of appends) this.#fail(append, closedError());
    clearInterval(this.#watch);
    this.#host.lane.close();
  }

  /** Resolves when nothing goes on any more. To be called once it is closed, and the mailbox as well. */
  async ended(): Promise<void> {
    await this.#mending;
  }

  #flush(): void {
    const { lane } = this.#host;
    while (
      this.#queue.length > 0 &&
      this.#calls.length < MAX_CALLS &&
      this.#mending === undefined &&
      lane.isReady
    ) {
      const call = this.#take();
      this.#calls.push(call);
      void this.#send(call);
    }
  }

  #take(): Call {
    const number = this.#next++;
    let events = 0;
    let bytes = 0;
    let count = 0;
    while (count < this.#queue.length && count < CALL_EVENTS && events < CALL_EVENTS && bytes < CALL_BYTES) {
      const { request, encoded } = this.#queue[count++] as Append;
      events += request.events.length;
      bytes += encoded.bytes;
    }
    const appends = this.#queue.slice(0, count);
    this.#queue = this.#queue.slice(count);
    return { number, appends, events, isUnderWay: false };
  }

  async #send(call: Call): Promise<boolean> {
    const { lane, settings } = this.#host;
    const { epoch } = this.#host;
    call.isUnderWay = true;
    try {
      const [status, text] = (await lane.run(APPEND, this.#argsOf(call), settings.patienceMs)) as [
        string,
        string,
      ];
      call.isUnderWay = false;
      if (status === "OK") {
        this.#calls = this.#calls.filter((other) => other !== call);
        if (settings.waitReplicas > 0) await this.#replicated(call, text, epoch);
        else this.#answer(call, text);
        this.#flush();
        return true;
      }
      // Another epoch, or Redis has forgotten which call was the last one.
      this.#host.lost();
      if (status === "EPOCH") await this.#host.told(epoch, settings.timeoutMs);
    } catch (error) {
      call.isUnderWay = false;
      if (!isPassing(error)) this.#failAll(call, redisError("store the event", error));
      // A cluster's or a sentinel's client does not say that a server is away, but in this way.
      else if (settings.failsOffline && isUnanswered(error)) this.#failAll(call, this.#lateError(true));
    }
    this.#mending ??= this.#mend();
    return false;
  }

  /** Sends again what has not been answered, one call after the other. */
  async #mend(): Promise<void> {
    const { lane } = this.#host;
    for (let tries = 0; this.#calls.length > 0 && !this.#closed; ) {
      // A later one may be under way.
      await pause(retryDelay(tries++), () => this.#closed);
      const call = this.#calls[0];
      if (call === undefined || this.#calls.some(({ isUnderWay }) => isUnderWay)) continue;
      if (!lane.isReady) await lane.ready(this.#host.settings.timeoutMs).catch(() => undefined);
      if (lane.isReady && !this.#closed && (await this.#send(call))) tries = 0;
    }
    this.#mending = undefined;
    this.#flush();
  }

  #argsOf({ number, appends }: Call): string[] {
    const { epoch, epochs, node } = this.#host;
    const args = [epoch, this.#host.offer(), node, String(number), String(appends.length)];
    for (const append of appends) {
      const isOff = append.isSettled || expectsWhatIsLost(append.request, append.epochs, epochs);
      for (const arg of isOff ? SKIPPED : append.encoded.args) args.push(arg);
    }
    return args;
  }

  #answer(call: Call, text: string, error?: EverstreamError): void {
    const lines = text.split("\n");
    call.appends.forEach((append, index) => {
      try {
        const result = parseResult(lines[index + 1]);
        if (error !== undefined && result.accepted) this.#fail(append, error);
        else if (this.#settle(append)) append.resolve(result);
      } catch (unknown) {
        this.#fail(append, redisError("store the event", unknown));
      }
    });
  }

  /** Answers once enough replicas have the call's events, which were written in the epoch. */
  async #replicated(call: Call, text: string, epoch: string): Promise<void> {
    const { lane, settings, node } = this.#host;
    const { waitReplicas, waitTimeoutMs } = settings;
    let replicas = 0;
    try {
      const wait = ["WAIT", String(waitReplicas), String(waitTimeoutMs)];
      const mark = [epoch, this.#host.offer(), node];
      const [[status], answer] = await lane.runWith(MARK, mark, wait, waitTimeoutMs + settings.patienceMs);
      // Other data than the call was written to has no replicas that would count.
      if (status === "OK") replicas = Number(answer);
    } catch {
      // None that we know of.
      replicas = 0;
    }
    if (replicas >= waitReplicas) {
      this.#answer(call, text);
      return;
    }
    const message = `The event is stored, and may have been seen, but after ${waitTimeoutMs} ms it is on ${replicas} replicas and not on the ${waitReplicas} that \`waitReplicas\` asks for; a repeat with the same \`publishId\` waits again.`;
    this.#answer(call, text, new EverstreamError("NOT_REPLICATED", message));
  }

  /** A server that refuses writes refuses them all. */
  #failAll(call: Call, error: EverstreamError): void {
    for (const append of call.appends) this.#fail(append, error);
    for (const append of this.#queue) this.#fail(append, error);
    this.#queue = [];
  }

  /** Fails those whose time is over. */
  #look(): void {
    const now = performance.now();
    const { settings, lane } = this.#host;
    const isOffline = settings.failsOffline && !lane.isReady;
    for (const { appends } of this.#calls) {
      for (const append of appends) {
        if (isOffline || append.deadline <= now) this.#fail(append, this.#lateError(true));
      }
    }
    // In one go: to shift a long array costs as much as to copy it.
    const inTime = isOffline ? -1 : this.#queue.findIndex(({ deadline }) => deadline > now);
    const late = inTime === -1 ? this.#queue : this.#queue.slice(0, inTime);
    this.#queue = inTime === -1 ? [] : this.#queue.slice(inTime);
    for (const append of late) this.#fail(append, this.#lateError(false));
    if (this.#pending > 0 || this.#watch === undefined) return;
    clearInterval(this.#watch);
    this.#watch = undefined;
  }

  #lateError(wasSent: boolean): EverstreamError {
    const { timeoutMs } = this.#host.settings;
    return redisError(
      "store the event",
      wasSent
        ? `no answer within ${timeoutMs} ms, or the connection was lost, so that it may be stored or not; a repeat with the same \`publishId\` is stored once`
        : "it can't be reached; nothing was stored",
    );
  }

  #fail(append: Append, error: EverstreamError): void {
    if (this.#settle(append)) append.reject(error);
  }

  #settle(append: Append): boolean {
    if (append.isSettled) return false;
    append.isSettled = true;
    this.#pending--;
    this.#pendingBytes -= append.encoded.bytes;
    return true;
  }
}
