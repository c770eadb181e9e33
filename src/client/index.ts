/**
 * The client for event streams of any server, in browsers, workers and every runtime with `fetch`.
 */
export { EverstreamError, type EverstreamErrorCode, isEverstreamError } from "../errors.ts";
export type { GapData, GapReason } from "../protocol/index.ts";
export {
  asText,
  defineEvents,
  type EventSchemas,
  type InvalidEventListener,
  type SchemaMap,
  type StandardSchema,
  type TextSchema,
} from "../schema/index.ts";
export { EventSource, type EventSourceOptions } from "./event-source.ts";
export {
  type EventStream,
  openEventStream,
  type StreamEvent,
  type StreamEventOf,
  type StreamEventOfType,
} from "./event-stream.ts";
export { type ConnectionFailure, failureOf } from "./failure.ts";
export type { Unsubscribe } from "./listeners.ts";
export type { StreamInput, StreamState, StreamStatus } from "./machine.ts";
export type { EventStreamOptions, PerAttempt } from "./options.ts";
export {
  createLeasedStore,
  createStreamRegistry,
  type LeasedStore,
  type LeaseTerms,
  type StoreSource,
  type StreamLease,
  type StreamRegistry,
} from "./registry.ts";
export { createRequestStore, type RequestStoreOptions } from "./request-store.ts";
export type { FollowedState, RunError, RunProgress, RunSnapshot } from "./run-state.ts";
export { createRunStore, type RunStore, type RunView } from "./run-store.ts";
export {
  type FollowedRun,
  type JoinRunOptions,
  joinRun,
  type RunRequestOptions,
  type StartRunOptions,
  startRun,
  stopRun,
} from "./runs.ts";
export {
  createStreamStore,
  type StreamSnapshot,
  type StreamStore,
  type StreamStoreOptions,
  type Tell,
} from "./store.ts";
export type { StreamDefaults, StreamRequest, StreamRequestOptions } from "./stream-request.ts";
export { createEventStream, type TokenStream } from "./token-stream.ts";
