import { invalidOption } from "../errors.ts";
import { assertOptions, assertRequest, type NamesOf } from "../input.ts";
import { EVENT_STREAM_HEADERS } from "../protocol/index.ts";
import { assertHandler, type HandlerOptions, runHandler, type StreamCallback } from "../session/handler.ts";
import { lastEventIdOf } from "../session/last-event-id.ts";
import { STREAM_NAMES, sessionSettings } from "../session/options.ts";
import { followRequest } from "../session/request.ts";
import { Session } from "../session/session.ts";
import { EventStreamWriter } from "../session/stream.ts";
import { WebSink } from "../session/web-sink.ts";

/** Options of {@link streamEvents}. */
export interface StreamEventsOptions extends HandlerOptions {
  /** Headers of the response; they win over the usual ones. */
  headers?: ConstructorParameters<typeof Headers>[0];
}

const NAMES: NamesOf<StreamEventsOptions> = { onError: true, headers: true, ...STREAM_NAMES };

/**
 * Answers a request with an event stream that `callback` writes: for any server of the Fetch kind.
 *
 * ```ts
 * export default { fetch: (request) => streamEvents(request, async (stream) => { await stream.send("hi", {}); }) };
 * ```
 *
 * The stream ends when the callback returns. A HEAD request gets the headers and runs nothing.
 *
 * @throws EverstreamError `INVALID_OPTION`.
 */
export function streamEvents(
  request: Request,
  callback: StreamCallback,
  options: StreamEventsOptions = {},
): Response {
  assertRequest(request);
  assertOptions("options", options, NAMES);
  assertHandler(callback, options.onError);
  const settings = sessionSettings(options);
  const headers = new Headers(EVENT_STREAM_HEADERS);
  headersOf(options.headers).forEach((value, name) => {
    headers.set(name, value);
  });
  if (request.method === "HEAD") return new Response(null, { headers });
  const session = new Session(settings);
  const sink = new WebSink(session);
  session.attach(sink);
  followRequest(session, request);
  const cursor = lastEventIdOf(request.headers.get("last-event-id"), request.url);
  runHandler(session, new EventStreamWriter(session, cursor), callback, options.onError);
  return new Response(sink.stream, { headers });
}

function headersOf(init: StreamEventsOptions["headers"]): Headers {
  try {
    return new Headers(init);
  } catch (cause) {
    throw invalidOption(`\`headers\` can't be sent: ${(cause as Error).message}`);
  }
}
