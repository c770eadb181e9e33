import type { EverstreamError } from "../../errors.ts";
import type { AppendRequest, AppendResult, Epoch } from "../../hub/log.ts";
import type { Draftable } from "./draft.ts";
import { lateFailure, logFailed } from "./errors.ts";
import { encodeEntry } from "./record.ts";

/** An append that waits for its result. */
export class Pending implements Draftable {
  readonly request: AppendRequest;
  readonly texts: readonly string[];
  readonly chars: number;
  /** The epoch in which it was asked for. */
  readonly epoch: Epoch;
  readonly deadline: number;
  /** Whether the server may have stored it. */
  isOpen = false;
  settled = false;
  readonly #resolve: (result: AppendResult) => void;
  readonly #reject: (error: EverstreamError) => void;
  readonly #onSettled: (pending: Pending) => void;

  constructor(
    request: AppendRequest,
    epoch: Epoch,
    deadline: number,
    settle: {
      readonly resolve: (result: AppendResult) => void;
      readonly reject: (error: EverstreamError) => void;
      readonly onSettled: (pending: Pending) => void;
    },
  ) {
    this.request = request;
    this.texts = request.events.map(encodeEntry);
    this.chars = this.texts.reduce((chars, text) => chars + text.length + 1, ENTRY_OVERHEAD);
    this.epoch = epoch;
    this.deadline = deadline;
    this.#resolve = settle.resolve;
    this.#reject = settle.reject;
    this.#onSettled = settle.onSettled;
  }

  resolve(result: AppendResult): void {
    if (this.#settle()) this.#resolve(result);
  }

  reject(error: EverstreamError): void {
    if (this.#settle()) this.#reject(error);
  }

  /** Its time is over. `why` it took so long, if that is known. */
  expire(timeoutMs: number, why: unknown): void {
    const what = `The NATS server did not take a publish within ${timeoutMs} ms`;
    const message = `${what}. ${this.#outcome()}`;
    this.reject(this.isOpen ? logFailed(message, why) : lateFailure(message, why));
  }

  /** The connection is lost, and it is not to wait for another one. */
  lose(why: unknown): void {
    this.reject(logFailed(`The connection to the NATS server was lost. ${this.#outcome()}`, why));
  }

  #outcome(): string {
    if (!this.isOpen) return "Nothing was stored.";
    return "Whether it was stored is unknown: publish it again with the same `publishId`, which stores it once.";
  }

  #settle(): boolean {
    if (this.settled) return false;
    this.settled = true;
    this.#onSettled(this);
    return true;
  }
}

/** What an append takes beside its texts, about. */
const ENTRY_OVERHEAD = 300;
