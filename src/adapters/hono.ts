import type { Context } from "hono";
import type { StatusCode } from "hono/utils/http-status";
import { invalidOption } from "../errors.ts";
import { assertHub, type Hub, type Opening, type RequestHead, type RespondOptions } from "../hub/index.ts";
import { assertOptions, hasMethod, type NamesOf } from "../input.ts";
import { EVENT_STREAM_HEADERS } from "../protocol/index.ts";
import {
  answerRun,
  assertRoutesOptions,
  assertRuns,
  type JoinOptions,
  type RunOpening,
  type RunRoutesOptions,
  type Runs,
} from "../runs/index.ts";
import { assertHandler, runHandler } from "../session/handler.ts";
import { lastEventIdOf } from "../session/last-event-id.ts";
import { STREAM_NAMES, type StreamOptions, sessionSettings } from "../session/options.ts";
import { followRequest } from "../session/request.ts";
import { Session } from "../session/session.ts";
import { EventStreamWriter, type SSEMessage } from "../session/stream.ts";
import { WebSink } from "../session/web-sink.ts";
import { HonoNodeTransport, nodeEnvOf } from "./hono-node.ts";
import { type NodeStreamOptions, splitOptions } from "./node-headers.ts";
import { keepsOwnHeader } from "./own-header.ts";

export { stream, streamText } from "hono/streaming";
export { EventStreamWriter as SSEStreamingApi, type NodeStreamOptions, type SSEMessage };

/** Options of {@link streamSSE} beyond those of `hono/streaming`. */
export interface StreamSSEOptions extends StreamOptions, NodeStreamOptions {
  /**
   * Whether bytes may go straight to the Node response where nothing stands between it and the stream. `false` sends
   * every byte through the response's body. Default: `true`.
   */
  direct?: boolean;
}

const NAMES: NamesOf<StreamSSEOptions> = { direct: true, freeRequestHeaders: true, ...STREAM_NAMES };

/**
 * Answers with an event stream that `callback` writes: `hono/streaming`'s `streamSSE`, with every end seen, backpressure,
 * heartbeats and errors masked.
 *
 * ```ts
 * app.get("/events", (c) => streamSSE(c, async (stream) => {
 *   while (true) {
 *     await stream.writeSSE({ data: new Date().toISOString() });
 *     await stream.sleep(1000);
 *   }
 * }));
 * ```
 *
 * The loop ends when the client leaves, since `sleep` rejects then. `c.req.raw.signal` is aborted at every end.
 *
 * @param onError Told of what `callback` threw. Unless it writes an event itself, the client gets a masked `error` event.
 * @throws EverstreamError `INVALID_OPTION`, `INVALID_EVENT`, `RESERVED_TYPE` for the options.
 */
export function streamSSE(
  c: Context,
  callback: (stream: EventStreamWriter) => Promise<void> | void,
  onError?: (error: Error, stream: EventStreamWriter) => Promise<void> | void,
  options: StreamSSEOptions = {},
): Response {
  assertContext(c);
  assertOptions("options", options, NAMES);
  assertHandler(callback, onError);
  const settings = sessionSettings(options);
  const headers = headersFor(c, EVENT_STREAM_HEADERS);
  if (c.req.raw.method === "HEAD") return c.newResponse(null, { headers });
  const session = new Session(settings);
  const response = respond(c, session, headers, options);
  const cursor = lastEventIdOf(c.req.header("last-event-id"), c.req.url);
  runHandler(session, new EventStreamWriter(session, cursor), callback, onError);
  return response;
}

/**
 * Answers with the events of a hub's topics: those after the client's `Last-Event-ID`, then live ones.
 *
 * @throws EverstreamError as `hub.respond` does.
 */
export async function streamTopics(
  c: Context,
  hub: Hub,
  options: RespondOptions & NodeStreamOptions,
): Promise<Response> {
  assertContext(c);
  assertHub(hub);
  const { hubs, own } = splitOptions(options);
  return answer(c, await hub.open(headOf(c), hubs), own);
}

/**
 * Answers with a run's stream: what was written after the client's `Last-Event-ID`, or from the start, and then what
 * comes. 404 for a run there never was, 410 for one that is no longer kept.
 *
 * @throws EverstreamError `INVALID_OPTION` for the id; as `hub.respond` does for the options.
 */
export async function streamRun(
  c: Context,
  runs: Runs,
  id: string,
  options: JoinOptions & NodeStreamOptions = {},
): Promise<Response> {
  assertContext(c);
  assertRuns(runs);
  const { hubs, own } = splitOptions(options);
  return answer(c, await runs.open(headOf(c), id, hubs), own);
}

/**
 * The routes of runs as a handler: start, join, stop and state, as `runs.routes()` has them.
 *
 * ```ts
 * app.all("/runs/*", runRoutes(runs, { start, authorize }));
 * ```
 *
 * (`/runs/*` is `/runs` itself, too.)
 */
export function runRoutes(runs: Runs, options: RunRoutesOptions): (c: Context) => Promise<Response> {
  assertRuns(runs);
  assertRoutesOptions(options);
  return async (c) => {
    const answered = await answerRun(runs, c.req.raw, options);
    return answered.kind === "response" ? answered.response : answer(c, answered);
  };
}

/** @throws EverstreamError `INVALID_OPTION`. */
function assertContext(c: Context): void {
  if (hasMethod(c, "newResponse")) return;
  throw invalidOption(
    "`c` must be Hono's context. For node:http, Express and Fastify there is `everstream/node`, for other Fetch servers `everstream`.",
  );
}

function headOf(c: Context): RequestHead {
  const { raw } = c.req;
  return { method: raw.method, url: raw.url, header: (name) => raw.headers.get(name) };
}

function answer(c: Context, opening: Opening | RunOpening, options?: NodeStreamOptions): Response {
  if (opening.kind === "response") {
    return c.newResponse(opening.body, opening.status as StatusCode, { ...opening.headers });
  }
  try {
    return respond(c, opening.session, headersFor(c, opening.headers), options);
  } catch (error) {
    // Nobody else would, and Hono's `onError` has the answer to give.
    opening.session.end("write-failed");
    throw error;
  }
}

function respond(
  c: Context,
  session: Session,
  headers: Headers,
  { direct = true, freeRequestHeaders = false }: Pick<StreamSSEOptions, "direct" | "freeRequestHeaders"> = {},
): Response {
  const { raw } = c.req;
  const node = nodeEnvOf(c.env);
  const transport = node && new HonoNodeTransport(session, node, direct, freeRequestHeaders);
  const sink = new WebSink(session, transport);
  session.attach(sink);
  transport?.watch(sink);
  followRequest(session, raw, node === undefined || Object.getPrototypeOf(raw) === Request.prototype);
  return c.newResponse(sink.stream, { headers });
}

/** Adds what an event stream needs to the headers that the handler and middleware before it have set; theirs win. */
function headersFor(c: Context, wanted: Readonly<Record<string, string>>): Headers {
  const chosen = c.newResponse(null).headers;
  const headers = new Headers();
  for (const [name, value] of Object.entries(wanted)) {
    if (!keepsOwnHeader(name, chosen.get(name))) headers.set(name, value);
  }
  // Hono's `etag` would read the stream to its end to tag it, unless there is a tag; one that no other response has
  // can't match.
  if (!chosen.has("ETag")) headers.set("ETag", uniqueTag());
  return headers;
}

const tagPrefix = /* @__PURE__ */ Math.random().toString(36).slice(2);
let tags = 0;

function uniqueTag(): string {
  return `W/"${tagPrefix}-${(tags++).toString(36)}"`;
}
