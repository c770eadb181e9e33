import {
  createStreamRegistry,
  type EventStreamOptions,
  type LeaseTerms,
  openEventStream,
  type StreamLease,
} from "../client/index.ts";

/** A stream as hooks take it: its URL, or that with options. Compared by value, so it may be written in place. */
export type StreamRequest = string | URL | StreamRequestOptions;

/**
 * The options of `openEventStream` that make sense in a component. Functions among them do not tell one stream from
 * another; of `headers` and `shouldRetry` the latest are used, of the others those of the render that opened it.
 */
export interface StreamRequestOptions
  extends Omit<EventStreamOptions, "signal" | "headers" | "body" | "events" | "onInvalid"> {
  readonly url: string | URL;
  readonly headers?: RequestHeaders | (() => RequestHeaders | Promise<RequestHeaders>) | undefined;
  readonly body?: string | undefined;
}

type RequestHeaders = Readonly<Record<string, string>>;

const registry = /* @__PURE__ */ createStreamRegistry();

/** The one form of all requests. */
export function toOptions(request: StreamRequest): StreamRequestOptions {
  return typeof request === "string" || request instanceof URL ? { url: request } : request;
}

/**
 * What tells streams apart: URL, method, headers, body and every other option that is no function, in whatever order they
 * were written.
 */
export function keyOf(request: StreamRequest): string {
  return JSON.stringify(toOptions(request), (_name, value: unknown) =>
    typeof value === "object" && value !== null
      ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}

/**
 * A share in the application's one stream for a request, which is opened where there is none.
 *
 * @param latest Gives the request as of the last render.
 * @param terms With the id to resume after, before what the request says.
 */
export function leaseStream(latest: () => StreamRequestOptions, terms: LeaseTerms): StreamLease {
  const { url, ...options } = latest();
  const open = () =>
    openEventStream(url, {
      ...options,
      // Values are among what tells streams apart, here and, where they are given as such, between tabs that share.
      headers:
        typeof options.headers === "function"
          ? () => {
              const { headers = {} } = latest();
              return typeof headers === "function" ? headers() : headers;
            }
          : options.headers,
      shouldRetry: (failure) => latest().shouldRetry?.(failure),
      initialLastEventId: terms.lastEventId || options.initialLastEventId,
    });
  return registry.acquire(keyOf(latest()), open, terms);
}
