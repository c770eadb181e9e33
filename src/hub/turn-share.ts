import { OWN_TIMERS } from "../session/own-timers.ts";
import { asTask } from "../session/turn.ts";
import { Deque } from "./deque.ts";

/** How long one turn of the event loop may be used, in milliseconds. */
const SLICE_MS = 1;
/** More pieces of work than this don't fit into a slice, however small they are. */
const MAX_TASKS = 64;

/**
 * A share of each turn of the event loop, for work that comes in crowds. Everybody may come at once, after a deploy or when
 * a network is back: one turn may bring a thousand requests, and each of them may want pages of the past. What the server
 * itself does for a request can't be put off. What a hub does comes in slices, first come, first served, so that live
 * events and everything else in the process get their turns in between.
 */
export class TurnShare {
  readonly #waiting = new Deque<() => void>();
  /** Until when this turn may be used. */
  #until = 0;
  /** How many tasks are due, all of them in one turn; none where nobody has come in this one. */
  #tasks = 0;
  /** Whether the next of them is the first of its turn. */
  #begins = false;

  /** What has to be waited for before a piece of work is begun, if anything. */
  enter(): Promise<void> | undefined {
    // One request can't wait for what another one has timed, and a crowd is spread over many isolates.
    if (OWN_TIMERS) return undefined;
    const now = performance.now();
    if (this.#tasks === 0) {
      this.#until = now + SLICE_MS;
      this.#schedule(1);
    }
    if (this.#waiting.length === 0 && now < this.#until) return undefined;
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  /** Work is done in what follows the task that lets it in: so there is one for each piece, and all look at the clock. */
  #schedule(tasks: number): void {
    this.#tasks = tasks;
    this.#begins = true;
    for (let task = 0; task < tasks; task++) asTask(this.#letIn);
  }

  readonly #letIn = (): void => {
    const now = performance.now();
    if (this.#begins) this.#until = now + SLICE_MS;
    this.#begins = false;
    if (now < this.#until) this.#waiting.shift()?.();
    this.#tasks--;
    if (this.#tasks === 0 && this.#waiting.length > 0) {
      this.#schedule(Math.min(this.#waiting.length, MAX_TASKS));
    }
  };
}
