import { EverstreamError, isEverstreamError } from "../errors.ts";
import { assertCallback, assertFunction } from "../input.ts";
import { ERROR_EVENT, encodeEvent, formatHello, MASKED_ERROR } from "../protocol/index.ts";
import { handlerSessions } from "./group.ts";
import type { SessionSettings, StreamOptions } from "./options.ts";
import { noteTold, report } from "./report.ts";
import type { Session } from "./session.ts";
import type { EventStreamWriter } from "./stream.ts";

/** A handler of one client: it writes, and the stream ends when it returns. */
export type StreamCallback<Stream = EventStreamWriter> = (stream: Stream) => void | Promise<void>;

/**
 * Told of what a callback threw, as an Error always. It may write an event of its own; where it does not, the client
 * gets a masked `error` event. The stream ends after it.
 */
export type StreamErrorHandler<Stream = EventStreamWriter> = (
  error: Error,
  stream: Stream,
) => void | Promise<void>;

/** Options of a handler's stream. */
export interface HandlerOptions extends StreamOptions {
  /** Told of what the callback threw; what it writes is sent in place of the masked `error` event. Default: the console. */
  onError?: StreamErrorHandler;
}

const masked = /* @__PURE__ */ encodeEvent({ event: ERROR_EVENT, data: JSON.stringify(MASKED_ERROR) });

/** What opens every stream: the headers leave with it, and our client learns what silence means. */
export function helloOf({ heartbeat }: SessionSettings): string {
  const heartbeatMs = heartbeat?.everyMs ?? 0;
  return encodeEvent({ comment: formatHello({ heartbeatMs }) });
}

/** Checks a handler before anything is begun. @throws EverstreamError `INVALID_OPTION`. */
export function assertHandler(callback: unknown, onError: unknown): void {
  assertFunction("callback", callback);
  assertCallback("onError", onError);
}

/** Opens the stream and runs `callback` for it; whatever becomes of the callback, it ends as it should. */
export function runHandler<Stream extends EventStreamWriter>(
  session: Session,
  stream: Stream,
  callback: StreamCallback<Stream>,
  onError?: StreamErrorHandler<Stream>,
): void {
  handlerSessions.add(session);
  session.write(helloOf(session.settings));
  void run(session, stream, callback, onError);
}

async function run<Stream extends EventStreamWriter>(
  session: Session,
  stream: Stream,
  callback: StreamCallback<Stream>,
  onError: StreamErrorHandler<Stream> | undefined,
): Promise<void> {
  try {
    await callback(stream);
    await stream.close();
  } catch (error) {
    if (session.closed && isEnd(error)) return;
    await stream.settled();
    const before = stream.eventCount;
    await tell(error, stream, onError);
    await stream.settled();
    if (stream.eventCount === before && !stream.toldError) session.write(masked);
    session.end("failed");
  }
}

async function tell<Stream extends EventStreamWriter>(
  thrown: unknown,
  stream: Stream,
  onError: StreamErrorHandler<Stream> | undefined,
): Promise<void> {
  const error =
    thrown instanceof Error
      ? thrown
      : new EverstreamError(
          "CALLBACK_FAILED",
          `The stream's callback threw ${describe(thrown)}, which is no Error.`,
          {
            cause: thrown,
          },
        );
  noteTold(thrown);
  if (onError === undefined) {
    report("A stream's callback failed", error);
    return;
  }
  try {
    await onError(error, stream);
  } catch (failure) {
    report("onError failed", failure);
    report("It was called for", error);
  }
}

/** A value as text, also one that refuses to be any. */
function describe(value: unknown): string {
  try {
    return String(value);
  } catch {
    return `a value of type ${typeof value}`;
  }
}

/** Whether an error only says that the stream had ended: our own, or an abort by way of its signal. */
function isEnd(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return (
    isEverstreamError(error, "STREAM_ENDED") ||
    /abort/i.test(error.name) ||
    /abort/i.test(error.message) ||
    isEnd(error.cause)
  );
}
