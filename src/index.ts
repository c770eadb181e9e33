/**
 * The core of everstream: web standards only, so that it runs on any server. Servers' own ways in are `everstream/hono`
 * and `everstream/node`.
 */
export { type StreamEventsOptions, streamEvents } from "./adapters/fetch.ts";
export { EverstreamError, type EverstreamErrorCode, isEverstreamError } from "./errors.ts";
export type {
  AppendRequest,
  AppendResult,
  Authorize,
  Compaction,
  Delivery,
  DiagnosticsMessages,
  DropPolicy,
  Epoch,
  EventLog,
  From,
  Grant,
  Hub,
  HubEvent,
  HubEventOf,
  HubLimits,
  HubOptions,
  HubStats,
  Listener,
  LogConnection,
  LogEntry,
  LogFeed,
  Opening,
  Page,
  PublishedEvent,
  PublishedEventOf,
  PublishOptions,
  ReadOptions,
  ReadQuery,
  Refusal,
  RefusalReason,
  RequestHead,
  RespondOptions,
  Retention,
  RetentionLimits,
  SessionFilter,
  SessionInfo,
  SlowConsumer,
  SlowConsumerOption,
  SlowPolicy,
  StoredEvent,
  SubscribeOptions,
  TopicPage,
  TopicRight,
  TopicState,
  Topics,
  Unsubscribe,
  Verdict,
} from "./hub/index.ts";
export { createHub } from "./logs/create-hub.ts";
export { type MemoryLogOptions, memoryLog } from "./logs/memory.ts";
export {
  createRuns,
  type FoundRun,
  type JoinOptions,
  type Produce,
  type Run,
  type RunInfo,
  type RunOpening,
  type RunProgressData,
  type RunRoutes,
  type RunRoutesOptions,
  type RunState,
  type Runs,
  type RunsOptions,
  type StartedRun,
  type StartOptions,
  type WhenUnwatched,
} from "./runs/index.ts";
export {
  asText,
  defineEvents,
  type EventSchemas,
  type SchemaMap,
  type StandardSchema,
  type TextSchema,
} from "./schema/index.ts";
export type { CloseReason } from "./session/close-reason.ts";
export { closeStreams } from "./session/group.ts";
export type { HandlerOptions, StreamCallback, StreamErrorHandler } from "./session/handler.ts";
export type { HeartbeatOptions, StreamOptions } from "./session/options.ts";
export {
  createProgress,
  type Progress,
  type ProgressData,
  type ProgressOptions,
  type ProgressTarget,
  type StepProgress,
} from "./session/progress.ts";
export type { ProgressStep } from "./session/progress-steps.ts";
export { EventStreamWriter, type SSEMessage } from "./session/stream.ts";
