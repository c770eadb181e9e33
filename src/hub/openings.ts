import { asTask } from "../session/turn.ts";
import { Deque } from "./deque.ts";

/** How long one turn of the event loop may be used for openings, in milliseconds. */
const SLICE_MS = 1;
/** More openings than this don't fit into a slice, however little they do. */
const MAX_TASKS = 64;

/**
 * Lets openings in, in slices of a millisecond. Everybody may come at once, after a deploy or when a network is back, and
 * one turn of the event loop may bring a thousand requests. What the server itself does for each can't be put off; what a
 * hub does, who may read what, the start, the headers and the past, waits for its turn, so that live events and
 * everything else of the process get theirs in between.
 */
export class Openings {
  readonly #waiting = new Deque<() => void>();
  /** Until when this turn may be used. */
  #until = 0;
  /** How many tasks are due, all of them in one turn; none where nobody has come in this one. */
  #tasks = 0;
  /** Whether the next of them is the first of its turn. */
  #begins = false;

  /** What an opening has to wait for, if anything. */
  enter(): Promise<void> | undefined {
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

  /** An opening goes on in what follows the task that lets it in: so there is one for each, and all look at the clock. */
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
