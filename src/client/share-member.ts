import type { Attempt, ConnectionHandlers } from "./connection.ts";
import type { ConnectionFailure } from "./failure.ts";
import type { StreamStatus } from "./machine.ts";
import { type Succession, succeed } from "./share-claim.ts";
import { pauseFrozen } from "./share-freeze.ts";
import { createQuestion } from "./share-question.ts";
import { TabRecord } from "./share-record.ts";
import { type RunAttempt, type SharingStream, showTold, tellable } from "./share-stream.ts";
import type { Entry, Hello, Missed, News, TabMessage, Welcome } from "./share-wire.ts";

/**
 * What a tab does among those that share. `away`: nothing. `joining`: it has asked, and waits for an answer or the lock.
 * `following`: it takes what the leader tells. `catchingUp`: it has a connection of its own, until the leader's history
 * reaches back to it. `leading`: it holds the lock and has the connection.
 */
type Role = "away" | "joining" | "following" | "catchingUp" | "leading";

/** How long a leader may be silent before it is asked for a sign of life, and once more before its lock is taken. */
const SILENCE_MS = 5000;

/** One stream's part in a shared connection. `share.ts` says how the parts play together. */
export class TabMember {
  readonly #name: string;
  readonly #stream: SharingStream;
  readonly #tab = crypto.randomUUID();
  readonly #life = new AbortController();
  readonly #record = new TabRecord();
  readonly #question = createQuestion((hello) => this.#post(hello));
  #role: Role = "away";
  #heardAt = 0;
  #isSuspected = false;
  #isRefused = false;
  #channel: BroadcastChannel | undefined;
  #succession: Succession | undefined;
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
    pauseFrozen(stream, () => this.#role !== "away", this.#life.signal);
  }

  /** Runs the stream's attempt, here or by following another tab. */
  run(
    { signal }: Attempt,
    handlers: ConnectionHandlers,
    run: RunAttempt,
  ): Promise<ConnectionFailure | undefined> {
    this.#handlers = handlers;
    // Who leads makes another attempt. For others, what came after this one was given up would be dropped.
    signal.addEventListener("abort", () => {
      if (this.#role !== "leading") this.#leave();
    });
    return new Promise((resolve) => {
      this.#connect = () => {
        const after = this.#record.resumeAfter(this.#stream.lastEventId);
        void run(this.#tap(handlers, signal), after).then(resolve);
      };
      if (this.#role !== "leading" && !this.#isRefused) this.#join();
      // Else the lead came in the meantime, and has another attempt begin.
      else if (this.#stream.status.state === "connecting") this.#connect();
    });
  }

  #join(): void {
    if (this.#role === "away") {
      this.#channel = new BroadcastChannel(this.#name);
      this.#channel.onmessage = ({ data }: MessageEvent<TabMessage>) => this.#hear(data);
      this.#waitToLead(false);
      this.#heardAt = Date.now();
      this.#watch = setInterval(() => this.#lookAfterLeader(), SILENCE_MS);
    }
    this.#role = "joining";
    // Whoever has the lock has nobody to ask.
    if (!this.#succession?.isClaiming) this.#ask(true);
  }

  #leave(): void {
    this.#role = "away";
    this.#question.drop();
    this.#succession?.end();
    clearInterval(this.#watch);
    this.#channel?.close();
  }

  /** What the stream comes to, by its own doing or shown: leaders tell it, and whoever is gone leaves. */
  readonly #onStatus = (status: StreamStatus): void => {
    const { state, reason } = status;
    const isOver = state === "closed" || state === "failed";
    const isOwn = state === "paused" || reason === "close";
    // That was for the wait before.
    clearTimeout(this.#retry);
    if (this.#role === "leading" && !isOwn) this.#tell({ kind: "status", status: tellable(status) });
    if (isOver) this.#life.abort();
    if (isOver || isOwn) this.#leave();
  };

  // --- The lead

  #waitToLead(steal: boolean): void {
    this.#succession?.end();
    this.#succession = succeed(this.#name, steal, {
      claims: () => {
        this.#question.drop();
        return this.#record.place;
      },
      post: (claim) => this.#post(claim),
      leads: (term, missed) => {
        for (const entry of missed) if (this.#record.isLater(entry)) this.#take(entry, true);
        // One of them may have been the last, or a listener has closed the stream.
        if (this.#role !== "away") this.#lead(term, steal);
      },
      taken: () => {
        this.#record.lose();
        this.#rejoin();
      },
      refused: () => {
        this.#isRefused = true;
        this.#leave();
        this.#connect();
      },
    });
  }

  #lead(term: number, isStolen: boolean): void {
    const { status, lastEventId } = this.#stream;
    const role = this.#role;
    this.#role = "leading";
    this.#question.drop();
    this.#tell(this.#record.begin(term, isStolen, lastEventId));
    // It was about to have, or has, a connection of its own.
    if (role === "joining") this.#connect();
    else if (role === "catchingUp") this.#onStatus(status);
    else this.#waitAsBefore(status);
  }

  /** A connection needs an attempt, and that begins when the wait of the leader before is over, if that waited. */
  #waitAsBefore(status: StreamStatus): void {
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
    if (this.#role === "leading" || this.#succession?.isClaiming) return;
    const isSilent = Date.now() - this.#heardAt >= SILENCE_MS;
    if (isSilent && this.#isSuspected) this.#waitToLead(true);
    else if (this.#question.isPending) this.#question.repeatLate();
    else if (isSilent || this.#role === "catchingUp") this.#ask(false);
    this.#isSuspected = isSilent && !this.#isSuspected;
  }

  // --- The connection

  /** The handlers of a connection of this tab's own, which others want to hear of, too. */
  #tap(handlers: ConnectionHandlers, signal: AbortSignal): ConnectionHandlers {
    const took = (news: News, take: () => void): void => {
      // The rest of what was read when the connection was given up.
      if (signal.aborted) return;
      if (this.#role !== "leading" || this.#tell(news)) take();
      if (this.#role === "catchingUp" && !this.#question.isPending) this.#ask(false);
    };
    return {
      ...handlers,
      onEvent: (event) => took({ kind: "event", event }, () => handlers.onEvent(event)),
      onId: (id) => took({ kind: "id", id }, () => handlers.onId?.(id)),
      onRetry: (ms) => took({ kind: "retry", ms }, () => handlers.onRetry?.(ms)),
    };
  }

  /** @returns Whether it is new to this tab, too. */
  #tell(news: News): boolean {
    const entry = this.#record.next(news);
    this.#post(entry);
    return this.#record.take(entry);
  }

  // --- The channel

  #post(message: TabMessage): void {
    this.#channel?.postMessage(message);
  }

  #ask(wake: boolean): void {
    this.#question.ask({ place: this.#record.place, id: this.#stream.lastEventId, wake });
  }

  #hear(message: TabMessage): void {
    if (this.#role === "leading") {
      if (message.kind === "hello") this.#answer(message);
    } else if (message.kind === "hello") this.#succession?.repeat();
    else if (message.kind === "offer") this.#succession?.hear(message);
    else if (message.kind === "claim") {
      const { nonce, place } = message;
      this.#heardLeader();
      this.#post({ kind: "offer", nonce, tab: this.#tab, entries: this.#record.since(place) });
    } else if (!this.#record.isOutdated(message.kind === "welcome" ? message.place : message)) {
      this.#heardLeader();
      if (message.kind === "welcome") this.#welcome(message);
      else if (message.kind === "lead") this.#follow(message);
      else this.#hearEntry(message);
    }
  }

  #heardLeader(): void {
    this.#heardAt = Date.now();
    this.#isSuspected = false;
  }

  #answer(hello: Hello): void {
    if (hello.wake) this.#stream.dispatch({ type: "wake" });
    // Waking it may have called a listener that closed it.
    if (this.#role !== "leading") return;
    const status = tellable(this.#stream.status);
    this.#post({ kind: "welcome", nonce: hello.nonce, status, ...this.#record.answer(hello) });
  }

  #follow(entry: Entry): void {
    // The lock was taken from this one.
    if (this.#succession?.isClaiming) this.#waitToLead(false);
    if (this.#role === "following" && this.#record.isNext(entry)) {
      this.#question.drop();
      this.#take(entry, false);
    }
    // Whoever was asked leads no more.
    else this.#ask(this.#role === "joining");
  }

  #hearEntry(entry: Entry): void {
    // What comes before the answer to a question is in the answer.
    if (this.#question.isPending) this.#question.repeatLate();
    else if (this.#role !== "following") this.#ask(this.#role === "joining");
    else if (this.#record.isNext(entry)) this.#take(entry, false);
    else if (this.#record.isLater(entry)) this.#ask(false);
  }

  #welcome(welcome: Welcome): void {
    const { nonce, missed, place, ordered } = welcome;
    const question = this.#question.answeredBy(nonce);
    if (question === undefined) {
      // The answer to another tab shows what this one did not hear.
      const isOther = !(this.#question.isPending || this.#record.isAt(place));
      if (this.#role === "following" && isOther) this.#ask(false);
      return;
    }
    this.#record.ordered = ordered;
    if (missed === undefined) {
      if (this.#role === "joining") this.#catchUp();
      // An attempt needs its time limit; this needs a new one.
      else if (this.#role === "following") this.#rejoin();
      // It has come further since it asked.
      else if (question.id !== this.#stream.lastEventId) this.#ask(false);
    }
    // Its own connection has moved on since it asked; once that is gone, it asks again.
    else if (this.#role === "catchingUp") this.#rejoin();
    else this.#goOn(question, missed, welcome);
  }

  /** Follows, and begins with what it missed. */
  #goOn(question: Hello, missed: Missed, welcome: Welcome): void {
    this.#role = "following";
    if (this.#stream.lastEventId === "" && welcome.id !== "") this.#handlers?.onId?.(welcome.id);
    this.#record.join(question, missed, welcome);
    for (const entry of missed.entries) this.#take(entry, true);
    if (this.#role === "following") showTold(this.#stream, welcome.status);
  }

  /** @param isLate Whether it comes with an answer: then the leader's status is another by now. */
  #take(entry: Entry, isLate: boolean): void {
    // A listener may have closed the stream.
    if (this.#role === "away" || !this.#record.take(entry)) return;
    if (entry.kind === "event") this.#handlers?.onEvent(entry.event);
    else if (entry.kind === "id") this.#handlers?.onId?.(entry.id);
    else if (entry.kind === "retry") this.#handlers?.onRetry?.(entry.ms);
    else if (entry.kind === "status" && !isLate) showTold(this.#stream, entry.status);
  }

  /** The leader does not know what this tab lacks: the server does. */
  #catchUp(): void {
    this.#role = "catchingUp";
    this.#record.leave();
    this.#connect();
  }
}
