import type { ConnectionHandlers } from "./connection.ts";
import type { ConnectionFailure } from "./failure.ts";
import type { Unsubscribe } from "./listeners.ts";
import type { StreamInput, StreamStatus } from "./machine.ts";

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
export type RunAttempt = (
  handlers: ConnectionHandlers,
  lastEventId: string,
) => Promise<ConnectionFailure | undefined>;

const NO_FAILURE = { code: "STREAM_ENDED", message: "The shared connection failed." } as const;

/** A status as other tabs can have it: what a runtime threw can't always be cloned. */
export function tellable(status: StreamStatus): StreamStatus {
  const { failure } = status;
  return { ...status, failure: failure && { ...failure, cause: undefined } };
}

/** Shows the status of the tab that leads, or comes to the same end. */
export function showTold(stream: SharingStream, status: StreamStatus): void {
  const { state, failure = NO_FAILURE, attempt } = status;
  if (state === "closed") stream.dispatch({ type: "ended" });
  else if (state === "failed") stream.dispatch({ type: "lost", failure, attempt });
  else stream.show(status);
}
