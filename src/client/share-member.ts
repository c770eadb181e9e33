import type { GAP_EVENT, LIVE_EVENT } from "../protocol/index.ts";
import type { Attempt, ConnectionHandlers } from "./connection.ts";
import type { ConnectionFailure } from "./failure.ts";
import type { Unsubscribe } from "./listeners.ts";
import type { StreamInput, StreamStatus } from "./machine.ts";
import { comparePositions, createHistory, idOf, isSamePlace } from "./share-history.ts";
import { type Turn, takeTurn } from "./share-lock.ts";
import type { Entry, Hello, Lead, Missed, News, Place, TabMessage, Welcome } from "./share-wire.ts";

/** What sharing needs of the stream whose connection it stands for. */
export interface SharingStream {
  readonly status: StreamStatus;
  readonly lastEventId: string;
  onStatus(listener: (status: StreamStatus) => void): Unsubscribe;
  /** Shows another tab's status, without doing what it asks for. */
  show(status: StreamStatus): void;
  dispatch(input: StreamInput): void;
}

/** Makes a connection for the stream's attempt, and says as `runConnection` how it ended. */
export type RunAttempt = (handlers: ConnectionHandlers) => Promise<ConnectionFailure | undefined>;

/**
 * What a tab does among those that share. `away`: nothing. `joining`: it has asked, and waits for an answer or the lock.
 * `following`: it takes what the leader tells. `catchingUp`: it has a connection of its own, until the leader's history
 * reaches back to it. `leading`: it holds the lock and has the connection.
 */
type Role = "away" | "joining" | "following" | "catchingUp" | "leading";

// Their types prove that these are the protocol's. Its module is one that streams need without sharing, see `runShared`.
const GAP: typeof GAP_EVENT = "sse:gap";
const LIVE: typeof LIVE_EVENT = "sse:live";

/** How long a leader may be silent before it is asked for a sign of life, and once more before its lock is taken. */
const SILENCE_MS = 5000;
/** How long to wait for an answer from a leader that is not silent. */
const ANSWER_MS = 1000;

const NO_FAILURE = { code: "STREAM_ENDED", message: "The shared connection failed." } as const;

/** One stream's part in a shared connection. `share.ts` says how the parts play together. */
export class TabMember {
  readonly #name: string;
  readonly #stream: SharingStream;
  readonly #history = createHistory();
  readonly #life = new AbortController();
  #role: Role = "away";
  /** The last entry taken or told; kept while away. */
  #place: Place | undefined;
  /** Where this tab's own term began. */
  #from: { readonly place: Place | undefined; readonly id: string } = { place: undefined, id: "" };
  #ordered = false;
  /** Says of an id whether this tab has had its event already. Only after it was ahead of a leader. */
  #isStale: ((id: string) => boolean) | undefined;
  #question: Hello | undefined;
  #askedAt = 0;
  #heardAt = 0;
  #isSuspected = false;
  #isRefused = false;
  #channel: BroadcastChannel | undefined;
  #turn: Turn | undefined;
  #watch: ReturnType<typeof setInterval> | undefined;
  #retry: ReturnType<typeof setTimeout> | undefined;
  /** Of the stream's attempt: who is told what comes, and what makes a connection for it. */
  #handlers: ConnectionHandlers | undefined;
  #connect = (): void => undefined;

  /** @param name Names the lock and the channel. */
  constructor(name: string, stream: SharingStream) {
    this.#name = name;
    this.#stream = stream;
    stream.onStatus(this.#onStatus);
    this.#watchFreezing();
  }

  /** Runs the stream's attempt, here or by following another tab. */
  run(
    { signal }: Attempt,
    handlers: ConnectionHandlers,
    run: RunAttempt,
  ): Promise<ConnectionFailure | undefined> {
    this.#handlers = handlers;
    return new Promise((resolve) => {
      this.#connect = () => void run(this.#tap(handlers, signal)).then(resolve);
      if (this.#role === "leading" || this.#isRefused) this.#connect();
      else this.#join();
    });
  }

  #join(): void {
    if (this.#role === "away") {
      this.#channel = new BroadcastChannel(this.#name);
      this.#channel.onmessage = ({ data }: MessageEvent<TabMessage>) => this.#hear(data);
      this.#waitForTurn(false);
      this.#heardAt = Date.now();
      this.#watch = setInterval(() => this.#lookAfterLeader(), SILENCE_MS);
    }
    this.#role = "joining";
    this.#ask(true);
  }

  #leave(): void {
    this.#role = "away";
    this.#question = undefined;
    clearInterval(this.#watch);
    clearTimeout(this.#retry);
    this.#channel?.close();
    this.#turn?.end();
  }

  /** What the stream comes to, by its own doing or shown: leaders tell it, and whoever is gone leaves. */
  readonly #onStatus = (status: StreamStatus): void => {
    const { state, reason, failure } = status;
    const isOver = state === "closed" || state === "failed";
    const isOwn = state === "paused" || reason === "close";
    if (this.#role === "leading" && !isOwn) {
      // What a runtime threw can't always be cloned.
      const shown = failure && { ...failure, cause: undefined };
      this.#tell({ kind: "status", status: { ...status, failure: shown } });
    }
    if (isOver) this.#life.abort();
    if (isOver || isOwn) this.#leave();
  };

  /** A frozen tab runs nothing, and holds nothing up: it leaves before. */
  #watchFreezing(): void {
    const { document } = globalThis;
    const { signal } = this.#life;
    let isFrozen = false;
    document?.addEventListener(
      "freeze",
      () => {
        isFrozen = this.#role !== "away";
        if (isFrozen) this.#stream.dispatch({ type: "pause" });
      },
      { signal },
    );
    document?.addEventListener(
      "resume",
      () => {
        if (isFrozen) this.#stream.dispatch({ type: "wake" });
      },
      { signal },
    );
  }

  // --- The lock

  #waitForTurn(steal: boolean): void {
    this.#turn?.end();
    this.#turn = takeTurn(this.#name, steal, {
      granted: () => this.#lead(),
      taken: () => this.#rejoin(),
      refused: () => {
        this.#isRefused = true;
        this.#leave();
        this.#connect();
      },
    });
  }

  #lead(): void {
    const { status, lastEventId: id } = this.#stream;
    const role = this.#role;
    const from = this.#place;
    this.#role = "leading";
    this.#question = undefined;
    this.#isStale = undefined;
    this.#from = { place: from, id };
    // The clock is the same in all tabs, so that a term is later than those that this tab never heard of.
    this.#place = { term: Math.max(Date.now() + Math.random(), (from?.term ?? 0) + 1), seq: 0 };
    if (from === undefined) this.#history.reset(this.#place, id);
    this.#post({ kind: "lead", term: this.#place.term, from });
    // It was about to have, or has, a connection of its own.
    if (role === "joining") this.#connect();
    if (role === "catchingUp") this.#onStatus(status);
    if (role !== "following") return;
    if (status.state !== "waiting")
      this.#stream.show({ ...status, state: "waiting", reason: "lost", nextTryAt: 0 });
    const { nextTryAt = 0 } = this.#stream.status;
    this.#retry = setTimeout(() => this.#stream.dispatch({ type: "elapsed" }), nextTryAt - Date.now());
  }

  /** Gives up what it has, and asks the leader for what it lacks. */
  #rejoin(): void {
    this.#stream.dispatch({ type: "pause" });
    this.#stream.dispatch({ type: "wake" });
  }

  /** A follower hears from its leader all the time, or asks for it; one that is silent for so long is hung. */
  #lookAfterLeader(): void {
    if (this.#role === "leading") return;
    const now = Date.now();
    const isSilent = now - this.#heardAt >= SILENCE_MS;
    const isUnanswered = this.#question !== undefined && now - this.#askedAt >= SILENCE_MS;
    if (isSilent && this.#isSuspected) this.#waitForTurn(true);
    else if (isSilent || isUnanswered || this.#role === "catchingUp") this.#ask(false);
    this.#isSuspected = isSilent && !this.#isSuspected;
  }

  // --- The connection

  /** The handlers of a connection of this tab's own, which others want to hear of, too. */
  #tap(handlers: ConnectionHandlers, signal: AbortSignal): ConnectionHandlers {
    const took = (news: News, take: () => void): void => {
      // The rest of what was read when the connection was given up.
      if (signal.aborted) return;
      if (this.#role === "leading") this.#tell(news);
      take();
      if (this.#role === "catchingUp" && this.#question === undefined) this.#ask(false);
    };
    return {
      ...handlers,
      onEvent: (event) => {
        // Only hubs send these, and the ids of a hub are positions.
        if (event.event === LIVE) this.#ordered = true;
        took({ kind: "event", event }, () => handlers.onEvent(event));
      },
      onId: (id) => took({ kind: "id", id }, () => handlers.onId?.(id)),
      onRetry: (ms) => took({ kind: "retry", ms }, () => handlers.onRetry?.(ms)),
    };
  }

  #tell(news: News): void {
    const { term, seq } = this.#place as Place;
    this.#place = { term, seq: seq + 1 };
    const entry: Entry = { ...news, ...this.#place };
    this.#history.add(entry);
    this.#post(entry);
  }

  // --- The channel

  #post(message: TabMessage): void {
    this.#channel?.postMessage(message);
  }

  #ask(wake: boolean): void {
    this.#askedAt = Date.now();
    this.#question = {
      kind: "hello",
      nonce: crypto.randomUUID(),
      place: this.#place,
      id: this.#stream.lastEventId,
      wake,
    };
    this.#post(this.#question);
  }

  #hear(message: TabMessage): void {
    if (this.#role === "leading") {
      if (message.kind === "hello") this.#answer(message);
      return;
    }
    if (message.kind === "hello") return;
    const term = message.kind === "welcome" ? message.place.term : message.term;
    // A leader that was frozen or hung, and does not know yet that it leads no more.
    if (term < (this.#place?.term ?? 0)) return;
    this.#heardAt = Date.now();
    this.#isSuspected = false;
    if (message.kind === "welcome") this.#welcome(message);
    else if (message.kind === "lead") this.#follow(message);
    else this.#hearEntry(message);
  }

  #answer(hello: Hello): void {
    if (hello.wake) this.#stream.dispatch({ type: "wake" });
    const { status, lastEventId: id } = this.#stream;
    const place = this.#place as Place;
    const facts = { place, id, from: this.#from, ordered: this.#ordered };
    const missed = this.#history.missedBy(hello, facts);
    const { failure } = status;
    const shown = { ...status, failure: failure && { ...failure, cause: undefined } };
    this.#post({
      kind: "welcome",
      nonce: hello.nonce,
      place,
      id,
      status: shown,
      ordered: this.#ordered,
      missed,
    });
  }

  #follow({ term, from }: Lead): void {
    const isNext = this.#role === "following" && isSamePlace(from, this.#place);
    if (isNext) this.#place = { term, seq: 0 };
    // It answers with what it has that this tab lacks, and the other way round.
    else if (this.#role !== "away") this.#ask(false);
  }

  #hearEntry(entry: Entry): void {
    const { term = 0, seq = 0 } = this.#place ?? {};
    // What comes before the answer to a question is in the answer.
    if (this.#question !== undefined && Date.now() - this.#askedAt < ANSWER_MS) return;
    if (this.#role !== "following") {
      this.#ask(false);
      return;
    }
    if (this.#question !== undefined) this.#ask(false);
    else if (entry.term !== term || entry.seq > seq + 1) this.#ask(false);
    else if (entry.seq > seq) this.#take(entry, false);
  }

  #welcome({ nonce, missed, place, id, ordered, status }: Welcome): void {
    const question = this.#question;
    if (question === undefined || nonce !== question.nonce) {
      // The answer to another tab shows what this one did not hear.
      const isBehind =
        this.#role === "following" && question === undefined && !isSamePlace(place, this.#place);
      if (isBehind) this.#ask(false);
      return;
    }
    this.#question = undefined;
    this.#ordered = ordered;
    if (missed === undefined) {
      if (this.#role === "joining") this.#catchUp();
      // An attempt goes on after the last event ID with which it began; this needs a new one.
      else if (this.#role === "following") this.#rejoin();
      // It has come further since it asked.
      else if (question.id !== this.#stream.lastEventId) this.#ask(false);
      return;
    }
    // Its own connection has moved on since it asked; once that is gone, it asks again.
    if (this.#role === "catchingUp") {
      this.#rejoin();
      return;
    }
    this.#role = "following";
    this.#beginAt(question, { missed, place, id });
    for (const entry of missed.entries) this.#take(entry, true);
    if (this.#role !== "following") return;
    this.#place = place;
    this.#show(status);
  }

  #beginAt(question: Hello, { missed, place, id }: Pick<Welcome, "place" | "id"> & { missed: Missed }): void {
    const { ahead, entries } = missed;
    const own = this.#stream.lastEventId;
    if (own === "" && id !== "") this.#handlers?.onId?.(id);
    if (ahead !== undefined) {
      const seen = this.#history.idsAfter(ahead.from).add(ahead.id);
      this.#isStale = (other) => {
        const order = this.#ordered ? comparePositions(other, own) : Number.NaN;
        return Number.isNaN(order) ? seen.has(other) : order <= 0;
      };
    }
    if (question.place !== undefined) return;
    const [first] = entries;
    this.#history.reset(first ? { term: first.term, seq: first.seq - 1 } : place, this.#stream.lastEventId);
  }

  /** @param isLate Whether it comes with an answer: then the leader's status is another by now. */
  #take(entry: Entry, isLate: boolean): void {
    // A listener may have closed the stream.
    if (this.#role !== "following") return;
    this.#place = { term: entry.term, seq: entry.seq };
    const id = idOf(entry);
    const isGap = entry.kind === "event" && entry.event.event === GAP;
    if (id !== undefined && !isGap && this.#isStale !== undefined) {
      if (this.#isStale(id)) return;
      this.#isStale = undefined;
    }
    this.#history.add(entry);
    if (entry.kind === "event") this.#handlers?.onEvent(entry.event);
    else if (entry.kind === "id") this.#handlers?.onId?.(entry.id);
    else if (entry.kind === "retry") this.#handlers?.onRetry?.(entry.ms);
    else if (!isLate) this.#show(entry.status);
  }

  #show(status: StreamStatus): void {
    const { state, failure = NO_FAILURE, attempt } = status;
    if (state === "closed") this.#stream.dispatch({ type: "ended" });
    else if (state === "failed") this.#stream.dispatch({ type: "lost", failure, attempt });
    else this.#stream.show(status);
  }

  /** The leader does not know what this tab lacks: the server does. */
  #catchUp(): void {
    this.#role = "catchingUp";
    this.#place = undefined;
    this.#isStale = undefined;
    this.#connect();
  }
}
