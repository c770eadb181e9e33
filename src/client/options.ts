import { EverstreamError } from "../errors.ts";
import type { Defined, InvalidEventListener } from "../schema/index.ts";
import type { ConnectionFailure } from "./failure.ts";

/** A value, or a function that gives it, asked before every attempt, so that a token is never a stale one. */
export type PerAttempt<T> = T | (() => T | Promise<T>);

/**
 * What makes headers. Like the request's other types it is taken from what has it: by names of their own only the DOM's
 * library knows them, which a server's program may lack.
 */
export type HeadersInput = NonNullable<ConstructorParameters<typeof Headers>[0]>;

/** How a stream is opened, kept and read. Times are in milliseconds. */
export interface EventStreamOptions<E extends Defined = undefined> {
  /**
   * What the events are, made by `defineEvents`: their data is parsed and validated, and only the types that are defined
   * are handed out. Default: all events, with their data as text.
   */
  events?: E | undefined;
  /**
   * Told of an event whose data is not what its schema wants (`INVALID_DATA`); the stream goes on without it. Default: the
   * first of each type is reported, as an error in a listener is.
   */
  onInvalid?: InvalidEventListener | undefined;
  /** Default `GET`. Anything else is sent once and never repeated, see `retryPost` and `resumeUrl`. */
  method?: string | undefined;
  /** Request headers, or a function (it may be async) that is asked before every attempt. */
  headers?: PerAttempt<HeadersInput> | undefined;
  /** The body of the request, not for GET. It is not sent when resuming. */
  body?: Exclude<RequestInit["body"], ReadableStream>;
  /** As in `fetch`: which cookies go along. */
  credentials?: RequestInit["credentials"] | undefined;
  /** Used in place of the global `fetch`. */
  fetch?: typeof globalThis.fetch | undefined;
  /** Closes the stream when it aborts, like `close()`. */
  signal?: AbortSignal | undefined;
  /** The last event ID that was seen before, in an earlier page or process: the stream goes on after it. */
  initialLastEventId?: string | undefined;
  /**
   * When a lost connection is opened again: `always` (default), `cursor` (only once the server has given an id, for
   * GETs that would repeat work), or `never`.
   */
  resume?: "always" | "cursor" | "never" | undefined;
  /**
   * Where to resume by GET once the first answer came. Without it a POST is resumed at the `Location` of its
   * response, unless that leads to another origin, and a GET at its own URL.
   */
  resumeUrl?: PerAttempt<string | URL> | undefined;
  /** Sends a POST again when it failed before the answer. Only for requests that are idempotent. Default `false`. */
  retryPost?: boolean | undefined;
  /** The shortest wait before reconnecting, where the server sent no `retry`. Default 1,000. */
  minDelay?: number | undefined;
  /** Where growing waits stop. Default 30,000. */
  maxDelay?: number | undefined;
  /**
   * How many attempts in a row may fail after the first before the stream does. Those that the network's or the page's return
   * brings early count, too. Default: no limit.
   */
  maxRetries?: number | undefined;
  /** Overrules whether a failure is worth another attempt; `undefined`, or an error, leaves it to the default. */
  shouldRetry?: ((failure: ConnectionFailure) => boolean | undefined) | undefined;
  /** How long an answer may take; 0 or `Infinity` for any time. Default 30,000, but none where there could be no other attempt. */
  connectTimeout?: number | undefined;
  /** The longest silence of a foreign server that is known to send heartbeats. Ours announce it by themselves. */
  heartbeat?: number | undefined;
  /** Closes the connection while the page is hidden and resumes when it is shown. Default `false`. */
  pauseWhenHidden?: boolean | undefined;
  /**
   * One connection for all tabs of the origin that open the same URL with equal `credentials` and `headers` (those given
   * as a function are not compared). A text shares only with tabs that give the same, as the user's name. It needs GET,
   * and Web Locks; where these are missing, each tab has a connection of its own. Default `false`.
   */
  share?: boolean | string | undefined;
  /** How many events a loop may lag behind. Default 256. */
  maxQueue?: number | undefined;
  /**
   * What to do with a loop that lags further: `pause` (default) stops reading, so that the server feels it;
   * `dropOldest` keeps the newest; `error` closes the stream, and the loop throws `OVERFLOW`.
   */
  overflow?: "pause" | "dropOldest" | "error" | undefined;
  /** The largest event that is accepted, in bytes, without the comments before it. Default 1 MiB. */
  maxEventBytes?: number | undefined;
}

/** The options of a stream, whatever its events are. */
export type AnyStreamOptions = EventStreamOptions<Defined>;

/** What can be chosen where it is one of a few words, or what type it has. */
const CHOICES: Readonly<Record<string, string>> = {
  resume: "always|cursor|never",
  overflow: "pause|dropOldest|error",
  fetch: "function",
};
/** The names of what has to be a number. */
const NUMBERS = /Delay|max|Timeout|heart/;

/**
 * Refuses at once what would make waits, bounds and policies meaningless.
 *
 * @throws EverstreamError `INVALID_OPTION`.
 */
export function checkOptions(options: AnyStreamOptions): void {
  if (Object(options) !== options)
    throw new EverstreamError("INVALID_OPTION", "The options must be an object.");
  for (const [name, value] of Object.entries(options) as [string, unknown][]) {
    const words = CHOICES[name];
    const isWrong = words
      ? !words.split("|").includes(value as string) && typeof value !== words
      : NUMBERS.test(name) && !((value as number) >= 0);
    // What is undefined is left to the default.
    if (isWrong && value !== undefined)
      throw new EverstreamError("INVALID_OPTION", `${name} must be ${words ?? "0 or more"}.`);
  }
}
