"use client";
/**
 * React hooks for event streams. They can be imported and rendered on a server, where they open nothing.
 */
export type { StreamDefaults, StreamRequest, StreamRequestOptions } from "../client/index.ts";
export { EverstreamProvider, type EverstreamProviderProps } from "./provider.ts";
export {
  type EventStreamResult,
  type UseEventStreamOptions,
  useEventStream,
  useEventStreamStatus,
} from "./use-event-stream.ts";
export { type UseEventStreamEventOptions, useEventStreamEvent } from "./use-event-stream-event.ts";
export { type RunResult, type UseRunOptions, useRun } from "./use-run.ts";
export { type SSEResult, type UseSSEOptions, useSSE } from "./use-sse.ts";
