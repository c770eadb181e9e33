import { ask } from "./connection.ts";
import type { EventStreamOptions, HeadersInput } from "./options.ts";

type RequestHeaders = EventStreamOptions["headers"];

/**
 * Both, of which the second go before the first by name. By value if they are values: those are compared, where streams
 * are shared.
 */
export function joinHeaders(first: RequestHeaders, second: RequestHeaders): RequestHeaders {
  if (!first || !second) return second ?? first;
  if (typeof first === "function" || typeof second === "function")
    return async () => joinHeaders(await ask(first), await ask(second)) as HeadersInput;
  return Object.fromEntries([...new Headers(first), ...new Headers(second)]);
}
