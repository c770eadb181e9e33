import type { GapReason } from "../protocol/index.ts";
import type { CloseReason } from "../session/close-reason.ts";
import type { Hub } from "./hub-interface.ts";
import type { SessionInfo } from "./session-outlet.ts";
import type { SlowPolicy } from "./slow.ts";

/**
 * Why a request for a stream was refused.
 *
 * - `full`: there are `limits.maxSessions`.
 * - `full-for-key`: there are `limits.maxSessionsPerKey` with this key.
 * - `bad-topics`: the topics asked for can't be, or are too many.
 * - `forbidden`: `authorize` said no.
 * - `expired`: the rights ended before the opening.
 * - `closing`: the hub is closing, or is closed.
 * - `failed`: `authorize` threw, or the log could not be read.
 */
export type RefusalReason =
  | "full"
  | "full-for-key"
  | "bad-topics"
  | "forbidden"
  | "expired"
  | "closing"
  | "failed";

/** A policy for slow readers that leaves events out. */
export type DropPolicy = Extract<SlowPolicy, "dropOldest" | "latestByKey">;

/** What every message says: whose it is, since a process may have several hubs. */
interface OfHub {
  readonly hub: Hub;
}

/**
 * What a hub tells those who subscribe to a channel of Node's `diagnostics_channel`, by the channel's name. Subscribers are
 * called in the middle of the hub's work. Durations are in milliseconds.
 */
export interface DiagnosticsMessages {
  "everstream:session:open": OfHub & SessionInfo;
  "everstream:session:close": OfHub &
    SessionInfo & { readonly reason: CloseReason; readonly durationMs: number };
  /** Status and code are those of the answer; an `EventSource` that is told to come back gets 200 and does not see the code. */
  "everstream:session:refused": OfHub & {
    readonly reason: RefusalReason;
    readonly status: number;
    readonly code: string;
    /** The `key` that the session would have had. */
    readonly key: string | undefined;
  };
  /** Events that the log has accepted, in one append. */
  "everstream:publish": OfHub & {
    readonly topic: string;
    readonly count: number;
    /** By the estimate that retention goes by. */
    readonly bytes: number;
    /** How long the log took. */
    readonly durationMs: number;
  };
  /** A reader is told of a gap. One of all its topics has no `topic`. */
  "everstream:gap": OfHub & {
    readonly topic: string | undefined;
    readonly reason: GapReason;
    readonly after: string;
    readonly next: string;
  };
  /** For a reader that fell behind, a policy leaves events out: how many, nobody has counted, since they are not read. */
  "everstream:drop": OfHub & {
    readonly topic: string;
    readonly policy: DropPolicy;
  };
  /** `sessions` are those that are open. */
  "everstream:drain:start": OfHub & { readonly sessions: number; readonly withinMs: number };
  /** `sessions` are those that the drain ended: others may have left by themselves. */
  "everstream:drain:end": OfHub & {
    readonly sessions: number;
    readonly withinMs: number;
    readonly durationMs: number;
  };
}

/** As much of Node's channel as is needed. A message is only to be made where somebody subscribes. */
interface Channel<Message> {
  readonly hasSubscribers: boolean;
  publish(message: Message): void;
}

type Name = keyof DiagnosticsMessages;

/** The process' channels. */
export type Channels = { readonly [N in Name]: Channel<DiagnosticsMessages[N]> };

const SILENT = /* @__PURE__ */ Object.freeze({ hasSubscribers: false, publish: () => undefined });

let opened: Channels | undefined;

/** The process' channels; silent ones where the runtime has none. */
export function channels(): Channels {
  opened ??= openChannels();
  return opened;
}

function openChannels(): Channels {
  const diagnostics = globalThis.process?.getBuiltinModule?.("node:diagnostics_channel");
  const open = <N extends Name>(name: N): Channel<DiagnosticsMessages[N]> =>
    diagnostics?.channel(name) ?? SILENT;
  return {
    "everstream:session:open": open("everstream:session:open"),
    "everstream:session:close": open("everstream:session:close"),
    "everstream:session:refused": open("everstream:session:refused"),
    "everstream:publish": open("everstream:publish"),
    "everstream:gap": open("everstream:gap"),
    "everstream:drop": open("everstream:drop"),
    "everstream:drain:start": open("everstream:drain:start"),
    "everstream:drain:end": open("everstream:drain:end"),
  };
}
