import type { Hello } from "./share-wire.ts";

/** What a tab asks of the leader, one thing at a time. */
export interface Question {
  readonly isPending: boolean;
  /** Asks, in place of what it asked before. */
  ask(facts: Pick<Hello, "place" | "id" | "wake">): void;
  /**
   * Puts it once more where the answer is overdue, since messages may be lost. It is the same question still: a leader that
   * takes its time has answered when any of them is answered.
   */
  repeatLate(): void;
  /** The question that this answers, which is over then. */
  answeredBy(nonce: string): Hello | undefined;
  /** Asks no more. */
  drop(): void;
}

/** How long to wait for an answer from a tab that is not silent. */
export const ANSWER_MS = 1000;
/** Who needs longer than that would only be held up by being asked all the time. */
const MAX_ANSWER_MS = 5000;

/** Creates a tab's question, which is none at first. */
export function createQuestion(post: (hello: Hello) => void): Question {
  let pending: Hello | undefined;
  let dueAt = 0;
  let patienceMs = ANSWER_MS;

  const put = (hello: Hello): void => {
    pending = hello;
    dueAt = Date.now() + patienceMs;
    post(hello);
  };
  return {
    get isPending() {
      return pending !== undefined;
    },
    ask(facts) {
      patienceMs = ANSWER_MS;
      put({ kind: "hello", nonce: crypto.randomUUID(), ...facts });
    },
    repeatLate() {
      if (pending === undefined || Date.now() < dueAt) return;
      patienceMs = Math.min(2 * patienceMs, MAX_ANSWER_MS);
      put(pending);
    },
    answeredBy(nonce) {
      if (pending?.nonce !== nonce) return undefined;
      const question = pending;
      pending = undefined;
      return question;
    },
    drop() {
      pending = undefined;
    },
  };
}
