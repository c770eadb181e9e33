import type { EventStreamOptions, HeadersInput } from "./options.ts";

type RequestHeaders = EventStreamOptions["headers"];

/** Those of one attempt. */
export function askForHeaders(headers: RequestHeaders): HeadersInput | Promise<HeadersInput> {
  return typeof headers === "function" ? headers() : (headers ?? {});
}

/**
 * Both, of which the second go before the first by name. By value if they are values: those are compared, where streams
 * are shared.
 */
export function joinHeaders(first: RequestHeaders, second: RequestHeaders): RequestHeaders {
  if (!first || !second) return second ?? first;
  if (typeof first === "function" || typeof second === "function")
    return async () => joinHeaders(await askForHeaders(first), await askForHeaders(second)) as HeadersInput;
  return Object.fromEntries([...new Headers(first), ...new Headers(second)]);
}
