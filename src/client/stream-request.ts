import { EverstreamError } from "../errors.ts";
import { ask } from "./connection.ts";
import { openEventStream } from "./event-stream.ts";
import { joinHeaders } from "./headers.ts";
import type { EventStreamOptions, HeadersInput } from "./options.ts";
import { createStreamRegistry, type LeaseTerms, type StreamLease, type StreamRegistry } from "./registry.ts";

/** A stream as user interfaces ask for it: its URL, or that with options. Compared by value, so it may be written in place. */
export type StreamRequest = string | URL | StreamRequestOptions;

/** What may hold for many requests: the options that no request gives for itself. */
export interface StreamDefaults
  extends Omit<
    EventStreamOptions,
    | "signal"
    | "method"
    | "headers"
    | "body"
    | "events"
    | "onInvalid"
    | "initialLastEventId"
    | "resumeUrl"
    | "retryPost"
  > {
  /** What URLs are relative to: an absolute URL. Default: the page. */
  readonly baseUrl?: string | URL | undefined;
  /** Request headers, or a function (it may be async) that is asked before every attempt. */
  readonly headers?: RequestHeaders;
  /** How long a stream is kept once nobody uses it, in milliseconds. Default 250. */
  readonly linger?: number | undefined;
}

/**
 * The options of `openEventStream` that make sense where streams are shared. Functions among them do not tell one stream
 * from another; of `headers` and `shouldRetry` the latest are used, of the others those that it was opened with.
 */
export interface StreamRequestOptions
  extends StreamDefaults,
    Pick<EventStreamOptions, "method" | "initialLastEventId" | "resumeUrl" | "retryPost"> {
  readonly url: string | URL;
  readonly body?: string | undefined;
}

type HeaderValues = Readonly<Record<string, string>>;
type RequestHeaders = HeaderValues | (() => HeaderValues | Promise<HeaderValues>) | undefined;

/** The streams that user interfaces share where they say nothing else. */
export const appStreams: StreamRegistry = /* @__PURE__ */ createStreamRegistry();

/** The one form of all requests. What a request says itself goes before the defaults; of headers, by name. */
export function toOptions(request: StreamRequest, defaults: StreamDefaults = {}): StreamRequestOptions {
  const isBare = (request as Partial<StreamRequestOptions> | null)?.url === undefined;
  const own = isBare ? { url: request as string | URL } : (request as StreamRequestOptions);
  return { ...defaults, ...own, headers: joinHeaders(defaults.headers, own.headers) as RequestHeaders };
}

/**
 * What tells streams apart: URL, method, headers, body and every other option that is no function, in whatever order they
 * were written.
 *
 * @throws EverstreamError `INVALID_OPTION`: a value is neither text nor plain data, as `Headers` are. All of these would
 *   look the same, and other users' streams be joined.
 */
export function keyOf(options: StreamDefaults): string {
  return JSON.stringify(options, (name, value: unknown) => {
    if (!value || typeof value !== "object") return value;
    // What the platform's classes hold is in no property.
    if ((value as Record<symbol, unknown>)[Symbol.toStringTag])
      throw new EverstreamError("INVALID_OPTION", `${name} must be plain data.`);
    return Object.fromEntries(Object.entries(value).sort());
  });
}

/**
 * A share in the registry's one stream for a request, which is opened where there is none.
 *
 * @param key That of the request, see `keyOf`.
 * @param latest Gives the request as it is now. Of several users the newest is asked.
 * @param terms With the id to resume after, before what the request says.
 */
export function leaseStream(
  registry: StreamRegistry,
  key: string,
  latest: () => StreamRequestOptions,
  terms: LeaseTerms,
): StreamLease {
  const { url, baseUrl, headers, ...options } = latest();
  const open = (newest: () => unknown) => {
    const now = () => (newest() as typeof latest)();
    return openEventStream(baseUrl ? new URL(url, baseUrl) : url, {
      ...options,
      // Values are among what tells streams apart, here and, where they are given as such, between tabs that share.
      headers: typeof headers === "function" ? () => ask(now().headers) as HeadersInput : headers,
      shouldRetry: (failure) => now().shouldRetry?.(failure),
      initialLastEventId: terms.lastEventId || options.initialLastEventId,
    });
  };
  return registry.acquire(key, open, terms, latest);
}
