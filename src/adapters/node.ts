import type { ServerResponse } from "node:http";
import type { Http2ServerResponse } from "node:http2";
import { EverstreamError, invalidOption } from "../errors.ts";
import { assertHub, type Hub, type Opening, type RequestHead, type RespondOptions } from "../hub/index.ts";
import { assertOptions, hasMethod, type NamesOf } from "../input.ts";
import { EVENT_STREAM_HEADERS, MASKED_ERROR } from "../protocol/index.ts";
import {
  answerRun,
  assertRoutesOptions,
  assertRuns,
  type JoinOptions,
  type RunOpening,
  type RunRoutesOptions,
  type Runs,
} from "../runs/index.ts";
import { assertHandler, type HandlerOptions, runHandler, type StreamCallback } from "../session/handler.ts";
import { lastEventIdOf } from "../session/last-event-id.ts";
import { cutOff, isGone, type NodeResponse, NodeSink } from "../session/node-sink.ts";
import { STREAM_NAMES, sessionSettings } from "../session/options.ts";
import { report } from "../session/report.ts";
import { Session } from "../session/session.ts";
import { EventStreamWriter } from "../session/stream.ts";
import {
  freeHeaders,
  headerOf,
  type NodeRequest,
  type NodeStreamOptions,
  splitOptions,
} from "./node-headers.ts";
import { requestOf, sendResponse } from "./node-request.ts";
import { keepsOwnHeader } from "./own-header.ts";

/** A Node request and its response, of the same kind; and what can be chosen for them. */
export type { NodeRequest, NodeResponse, NodeStreamOptions };

const NAMES: NamesOf<HandlerOptions & NodeStreamOptions> = {
  onError: true,
  freeRequestHeaders: true,
  ...STREAM_NAMES,
};

/**
 * Answers with an event stream that `callback` writes, on Node's own servers. Headers that were set on `res` before are
 * kept. With Fastify, call `reply.hijack()` first and pass `request.raw` and `reply.raw`.
 *
 * @throws EverstreamError `INVALID_OPTION`, `INVALID_EVENT`, `RESERVED_TYPE` for the options.
 */
export function streamSSE(
  req: NodeRequest,
  res: ServerResponse | Http2ServerResponse,
  callback: StreamCallback,
  options: HandlerOptions & NodeStreamOptions = {},
): void {
  assertExchange(req, res);
  assertOptions("options", options, NAMES);
  assertHandler(callback, options.onError);
  const settings = sessionSettings(options);
  if (!sendHead(req, res, EVENT_STREAM_HEADERS)) return;
  const session = new Session(settings);
  session.attach(new NodeSink(session, res));
  const cursor = lastEventIdOf(headerOf(req, "last-event-id"), req.url ?? "");
  runHandler(session, new EventStreamWriter(session, cursor), callback, options.onError);
  if (options.freeRequestHeaders === true) freeHeaders(req);
}

/**
 * Answers with the events of a hub's topics: those after the client's `Last-Event-ID`, then live ones. Resolves when
 * the response has begun. A response that can't be sent, as one that other code has sent meanwhile, is reported; where
 * the headers have not left, the client gets 500.
 *
 * @throws EverstreamError as `hub.respond` does.
 */
export async function streamTopics(
  req: NodeRequest,
  res: ServerResponse | Http2ServerResponse,
  hub: Hub,
  options: RespondOptions & NodeStreamOptions,
): Promise<void> {
  assertExchange(req, res);
  assertHub(hub);
  const { hubs, own } = splitOptions(options);
  send(req, res, await hub.open(headOf(req), hubs), own.freeRequestHeaders);
}

/**
 * Answers with a run's stream: what was written after the client's `Last-Event-ID`, or from the start, and then what
 * comes. 404 for a run there never was, 410 for one that is no longer kept. Resolves when the response has begun;
 * what can't be sent is reported, as by {@link streamTopics}.
 *
 * @throws EverstreamError `INVALID_OPTION` for the id; as `hub.respond` does for the options.
 */
export async function streamRun(
  req: NodeRequest,
  res: ServerResponse | Http2ServerResponse,
  runs: Runs,
  id: string,
  options: JoinOptions & NodeStreamOptions = {},
): Promise<void> {
  assertExchange(req, res);
  assertRuns(runs);
  const { hubs, own } = splitOptions(options);
  send(req, res, await runs.open(headOf(req), id, hubs), own.freeRequestHeaders);
}

/**
 * The routes of runs as a listener: start, join, stop and state, as `runs.routes()` has them. All other paths get 404, so
 * in Express it is `app.use("/runs", runRoutes(runs, options))`, with the same path as the options have. Paths are taken as
 * they are written: one with dot segments or backslashes, which a `Request` would have as another, gets 400.
 */
export function runRoutes(
  runs: Runs,
  options: RunRoutesOptions,
): (req: NodeRequest, res: ServerResponse | Http2ServerResponse) => Promise<void> {
  assertRuns(runs);
  assertRoutesOptions(options);
  return async (req, res) => {
    assertExchange(req, res);
    const request = requestOf(req);
    const answered = request && (await answerRun(runs, request, options));
    if (answered?.kind === "stream") {
      send(req, res, answered);
      return;
    }
    const wasSent = res.headersSent;
    try {
      if (wasSent) throw sentError();
      await sendResponse(res, answered?.response ?? unreadable());
    } catch (error) {
      fail(res, wasSent, error);
    }
  };
}

/** @throws EverstreamError `INVALID_OPTION`. */
function assertExchange(req: NodeRequest, res: NodeResponse): void {
  if (hasMethod(req, "on") && hasMethod(res, "writeHead")) return;
  throw invalidOption(
    "`req` and `res` must be those of node:http or node:http2, as Express has them; with Fastify these are `request.raw` and `reply.raw`. For Hono there is `everstream/hono`, for Fetch servers `everstream`.",
  );
}

function headOf(req: NodeRequest): RequestHead {
  return {
    method: req.method ?? "GET",
    url: req.url ?? "/",
    header: (name) => headerOf(req, name),
  };
}

function send(
  req: NodeRequest,
  res: NodeResponse,
  opening: Opening | RunOpening,
  freeRequestHeaders = false,
): void {
  const wasSent = res.headersSent;
  try {
    if (wasSent) throw sentError();
    if (opening.kind === "response") sendRefusal(res, opening);
    else attach(req, res, opening.session, opening.headers);
  } catch (error) {
    // Nobody else would: a session without a sink is on no timer, and no client can leave it.
    if (opening.kind === "stream") opening.session.end("write-failed", { destroy: true });
    fail(res, wasSent, error);
    return;
  }
  if (opening.kind === "stream" && freeRequestHeaders) freeHeaders(req);
}

function sendRefusal(
  res: NodeResponse,
  { status, headers, body }: Extract<Opening | RunOpening, { kind: "response" }>,
): void {
  res.statusCode = status;
  for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
  res.end(body ?? "");
}

/**
 * What becomes of a response that can't carry what it should. One that other code has sent is that code's; whoever left
 * needs no answer.
 */
function fail(res: NodeResponse, wasSent: boolean, error: unknown): void {
  if (wasSent || !isGone(res)) report("A response could not be sent", error);
  if (wasSent) return;
  try {
    if (res.headersSent) throw error;
    res.statusCode = 500;
    res.removeHeader("Content-Length");
    res.setHeader("Content-Type", "application/json");
    res.end(JSON.stringify({ error: MASKED_ERROR.message, code: MASKED_ERROR.code }));
  } catch {
    // Half of a response, or one that refuses everything: its client must not take it for whole, nor wait for more.
    cutOff(res);
  }
}

function sentError(): EverstreamError {
  return new EverstreamError(
    "STREAM_ENDED",
    "Other code sent this response while it was decided what to answer: a timeout, for one. Answer each request once, and let nothing time out that answers with a stream.",
  );
}

function unreadable(): Response {
  return Response.json(
    { error: "This is no request that can be read.", code: "INVALID_OPTION" },
    { status: 400 },
  );
}

/**
 * The headers, what opens the stream and what the client has missed leave in one system call, as far as they are at hand:
 * everybody may come at once. HTTP/2 joins its frames itself.
 */
function attach(
  req: NodeRequest,
  res: NodeResponse,
  session: Session,
  headers: Readonly<Record<string, string>>,
): void {
  const socket = "chunkedEncoding" in res ? res.socket : null;
  socket?.cork();
  try {
    if (!sendHead(req, res, headers)) {
      session.end("finished");
      return;
    }
    const sink = new NodeSink(session, res, socket !== null);
    session.attach(sink);
    sink.opened();
  } finally {
    socket?.uncork();
  }
}

/** Sends the headers at once, the user's own among them. Returns whether a body follows. */
function sendHead(req: NodeRequest, res: NodeResponse, headers: Readonly<Record<string, string>>): boolean {
  if (req.method !== "HEAD" && isBare(res)) {
    res.writeHead(res.statusCode, headers).flushHeaders();
    return true;
  }
  for (const [name, value] of Object.entries(headers)) {
    if (!keepsOwnHeader(name, res.getHeader(name))) res.setHeader(name, value);
  }
  if (req.method === "HEAD") {
    res.end();
    return false;
  }
  (res as ServerResponse).flushHeaders();
  return true;
}

/**
 * Nobody has set a header so far. Given to `writeHead` all at once, headers leave without being kept: as single ones,
 * each would stay in memory for as long as the response does.
 */
function isBare(res: NodeResponse): res is ServerResponse {
  return "chunkedEncoding" in res && res.getHeaderNames().length === 0;
}
