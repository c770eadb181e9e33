/**
 * The core of everstream: web standards only, so that it runs on any server. Servers' own ways in are `everstream/hono`
 * and `everstream/node`.
 */
export { type StreamEventsOptions, streamEvents } from "./adapters/fetch.ts";
export { EverstreamError, type EverstreamErrorCode, isEverstreamError } from "./errors.ts";
export type { CloseReason } from "./session/close-reason.ts";
export { closeStreams } from "./session/group.ts";
export type { HandlerOptions, StreamCallback, StreamErrorHandler } from "./session/handler.ts";
export type { HeartbeatOptions, StreamOptions } from "./session/options.ts";
export { EventStreamWriter, type SSEMessage } from "./session/stream.ts";
