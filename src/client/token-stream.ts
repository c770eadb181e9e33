import { EverstreamError } from "../errors.ts";
import { DONE_EVENT, ERROR_EVENT, TOKEN_EVENT } from "../protocol/index.ts";
import { openEventStream } from "./event-stream.ts";
import { safely, toError } from "./failure.ts";
import type { EventStreamOptions } from "./options.ts";
import { readServerError, readToken } from "./token-data.ts";

/** A generated text on its way. It ends with exactly one of `onDone` and `onError`, unless it is closed before. */
export interface TokenStream {
  /** Calls back with each piece of the text; a callback that comes late first gets all that it missed as one piece. */
  onToken(callback: (content: string) => void): void;
  /** Calls back with the whole text once the server said that it is done, or at once if it has. */
  onDone(callback: (fullResponse: string) => void): void;
  /**
   * Calls back when the text will not be completed, or at once if that is so already. The error is an
   * `EverstreamError`; `code` is `SERVER_ERROR` where the server sent an `error` event (its data is the `cause`),
   * `INVALID_DATA` where a token could not be read, and else says how the connection failed: `HTTP_STATUS`,
   * `CONTENT_TYPE`, or `NOT_RESUMABLE` where it was lost.
   */
  onError(callback: (error: Error) => void): void;
  /** Ends the stream; nothing is called any more. May be called twice. */
  close(): void;
}

type Outcome = { readonly type: "done" | "closed" } | { readonly type: "error"; readonly error: Error };

/**
 * Opens a stream of `token` events (`{"content": "…"}`) that a `done` or an `error` event ends. It opens at once. The
 * request is never sent a second time by itself, since that would run the prompt again; only where the server gave
 * its events ids, as a run does, a lost connection is resumed after the last one.
 *
 * @throws EverstreamError `INVALID_OPTION`: an option can't be used.
 */
export function createEventStream(url: string | URL, options: EventStreamOptions = {}): TokenStream {
  const stream = openEventStream(url, { resume: "cursor", ...options });
  const onToken = new Set<(content: string) => void>();
  const onDone = new Set<(fullResponse: string) => void>();
  const onError = new Set<(error: Error) => void>();
  let text = "";
  let outcome: Outcome | undefined;
  let isClosed = false;

  /** Those that are there now: one that comes while they are called is told by its registration. */
  const callAll = <T>(callbacks: Iterable<(value: T) => void>, value: T): void => {
    for (const callback of [...callbacks]) if (!isClosed) safely(() => callback(value));
  };
  const finish = (result: Outcome): void => {
    if (outcome !== undefined) return;
    outcome = result;
    isClosed = result.type === "closed";
    stream.close();
    if (result.type === "done") callAll(onDone, text);
    if (result.type === "error") callAll(onError, result.error);
  };
  const fail = (error: Error): void => finish({ type: "error", error });

  stream.on(TOKEN_EVENT, ({ data }) => {
    const content = readToken(data);
    if (content instanceof Error) return fail(content);
    if (content === "") return;
    text += content;
    callAll(onToken, content);
  });
  stream.on(DONE_EVENT, () => finish({ type: "done" }));
  stream.on(ERROR_EVENT, ({ data }) => fail(readServerError(data)));
  stream.onGap((gap) => {
    const message = "Events of this stream are no longer available, so that its text would have a hole.";
    fail(new EverstreamError("NOT_RESUMABLE", message, { cause: gap }));
  });
  stream.onStatus(({ state, reason, failure }) => {
    if (state === "failed" && failure !== undefined) fail(toError(failure));
    if (state !== "closed") return;
    if (reason === "close") finish({ type: "closed" });
    else fail(new EverstreamError("NOT_RESUMABLE", "The stream ended before its `done` event."));
  });

  return {
    onToken(callback) {
      if (text !== "") callAll([callback], text);
      onToken.add(callback);
    },
    onDone(callback) {
      if (outcome?.type !== "done") onDone.add(callback);
      else callAll([callback], text);
    },
    onError(callback) {
      if (outcome?.type !== "error") onError.add(callback);
      else callAll([callback], outcome.error);
    },
    close() {
      isClosed = true;
      finish({ type: "closed" });
    },
  };
}
