/** The hub: one ordered log, and everybody who reads it live. */
export type { DiagnosticsMessages, DropPolicy, RefusalReason } from "./diagnostics.ts";
export type { HubEvent, HubEventOf, PublishedEvent, PublishedEventOf } from "./event.ts";
export { hubOver } from "./hub.ts";
export type { Hub, HubStats, Unsubscribe } from "./hub-interface.ts";
export type { Listener } from "./listener-outlet.ts";
export type {
  AppendRequest,
  AppendResult,
  Delivery,
  Epoch,
  EventLog,
  LogConnection,
  LogEntry,
  LogFeed,
  Page,
  ReadQuery,
  RetentionLimits,
  StoredEvent,
  TopicState,
} from "./log.ts";
export {
  assertHub,
  type Compaction,
  type From,
  type HubLimits,
  type HubOptions,
  type PublishOptions,
  type ReadOptions,
  type RespondOptions,
  type Retention,
  type SubscribeOptions,
} from "./options.ts";
export type { TopicPage } from "./read.ts";
export type { Opening, RequestHead } from "./respond.ts";
export type { Authorize, Grant, Refusal, TopicRight, Topics, Verdict } from "./rights.ts";
export type { SessionInfo } from "./session-outlet.ts";
export type { SessionFilter } from "./sessions.ts";
export type { SlowConsumer, SlowConsumerOption, SlowPolicy } from "./slow.ts";
