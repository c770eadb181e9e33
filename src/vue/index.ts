/**
 * Vue composables for event streams. They can be used in components that are rendered on a server, where they open nothing.
 */
export type { StreamDefaults, StreamRequest, StreamRequestOptions } from "../client/index.ts";
export { type EventStreamRefs, type UseEventStreamOptions, useEventStream } from "./use-event-stream.ts";
export { type RunRefs, type UseRunOptions, useRun } from "./use-run.ts";
