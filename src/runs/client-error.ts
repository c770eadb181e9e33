import type { ErrorData } from "../protocol/index.ts";

const known = new WeakMap<object, ErrorData>();

/** Notes what clients are told of this error, where the developer says nothing else. */
export function explainToClients(error: unknown, data: ErrorData): void {
  if (typeof error === "object" && error !== null) known.set(error, data);
}

/** What was noted of it. */
export function clientErrorOf(error: unknown): ErrorData | undefined {
  return typeof error === "object" && error !== null ? known.get(error) : undefined;
}
