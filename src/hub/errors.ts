import { EverstreamError } from "../errors.ts";

export function hubClosed(): EverstreamError {
  return new EverstreamError("HUB_CLOSED", "This hub was closed.");
}

/** The error for what was given as a position, under a name, and is none, or none of this log's. */
export function noPosition(name: string, given: unknown): EverstreamError {
  return new EverstreamError(
    "INVALID_POSITION",
    `\`${name}\` is ${JSON.stringify(given)}, which is no position of this log; give an event's id, or what hub.position() gave.`,
  );
}
