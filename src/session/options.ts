import { invalidOption } from "../errors.ts";
import { assertObject, assertOptions, type NamesOf } from "../input.ts";
import { assertUserEventType, encodeEvent } from "../protocol/index.ts";
import { SharedBytes } from "./sink.ts";

/** What keeps an idle connection alive, and lets a client see that it is. */
export interface HeartbeatOptions {
  /** After how many milliseconds without a byte it is sent. Default: 15,000. */
  every?: number;
  /** The type of a visible event to send; without it, a comment that no listener sees. */
  event?: string;
  /** The visible event's data. Default: the empty string. */
  data?: string;
}

/** What can be chosen for one open response. */
export interface StreamOptions {
  /** `false` for none, a number for a comment after so many milliseconds. Default: a comment after 15,000 ms. */
  heartbeat?: false | number | HeartbeatOptions;
  /** A client that takes no byte for so many milliseconds, though some wait, is cut off; 0 for never. Default: 30,000. */
  stallTimeout?: number;
  /** An awaited write waits while more bytes than this are pending. Default: 65,536. */
  highWaterMark?: number;
  /**
   * A write that finds more bytes than this pending ends the session (`slow`): the bound for code that does not await
   * its writes. Default: 16,777,216.
   */
  maxPendingBytes?: number;
}

/** A heartbeat, encoded once for all sessions that have it. */
export interface Heartbeat {
  readonly everyMs: number;
  readonly bytes: SharedBytes;
  /** Listeners get it, and may wait for it. */
  readonly isVisible: boolean;
}

/** {@link StreamOptions}, checked and complete. Sessions with the same options share one. */
export interface SessionSettings {
  readonly heartbeat: Heartbeat | undefined;
  readonly stallTimeoutMs: number;
  readonly highWaterMark: number;
  readonly maxPendingBytes: number;
}

/** The names of {@link StreamOptions}, for the checks of options that have others beside them. */
export const STREAM_NAMES: NamesOf<StreamOptions> = {
  heartbeat: true,
  stallTimeout: true,
  highWaterMark: true,
  maxPendingBytes: true,
};
const HEARTBEAT_NAMES: NamesOf<HeartbeatOptions> = { every: true, event: true, data: true };
const WITHIN_NAMES: NamesOf<{ within?: number }> = { within: true };

const DEFAULT_HEARTBEAT_MS = 15_000;
/** The longest delay that timers hold. */
const MAX_DELAY_MS = 2 ** 31 - 1;
/** The shortest block that says nothing: an empty comment. */
const QUIET_HEARTBEAT = /* @__PURE__ */ new SharedBytes(/* @__PURE__ */ new Uint8Array([0x3a, 0x0a, 0x0a]));

const DEFAULT_SETTINGS: SessionSettings = /* @__PURE__ */ Object.freeze({
  heartbeat: { everyMs: DEFAULT_HEARTBEAT_MS, bytes: QUIET_HEARTBEAT, isVisible: false },
  stallTimeoutMs: 30_000,
  highWaterMark: 64 * 1024,
  maxPendingBytes: 16 * 1024 * 1024,
});

/**
 * Checks these of the options and fills in the defaults.
 *
 * @throws EverstreamError `INVALID_OPTION`, naming the option; `INVALID_EVENT` or `RESERVED_TYPE` for the heartbeat's.
 */
export function sessionSettings(options?: StreamOptions): SessionSettings {
  if (options === undefined) return DEFAULT_SETTINGS;
  assertObject("options", options);
  const { heartbeat, stallTimeout, highWaterMark, maxPendingBytes } = options;
  return {
    heartbeat: heartbeatOf(heartbeat),
    stallTimeoutMs: amount("stallTimeout", stallTimeout, DEFAULT_SETTINGS.stallTimeoutMs, MAX_DELAY_MS),
    highWaterMark: amount("highWaterMark", highWaterMark, DEFAULT_SETTINGS.highWaterMark),
    maxPendingBytes: amount("maxPendingBytes", maxPendingBytes, DEFAULT_SETTINGS.maxPendingBytes),
  };
}

function heartbeatOf(option: StreamOptions["heartbeat"]): Heartbeat | undefined {
  if (option === undefined) return DEFAULT_SETTINGS.heartbeat;
  if (option === false) return undefined;
  if (typeof option !== "number" && (typeof option !== "object" || option === null)) {
    throw invalidOption("`heartbeat` must be `false`, a number of milliseconds, or an object with `every`.");
  }
  if (typeof option === "object") assertOptions("heartbeat", option, HEARTBEAT_NAMES);
  const { every, event, data } = typeof option === "number" ? { every: option } : option;
  const everyMs = amount("heartbeat", every, DEFAULT_HEARTBEAT_MS, MAX_DELAY_MS);
  if (everyMs === 0) return undefined;
  if (event === undefined) return { everyMs, bytes: QUIET_HEARTBEAT, isVisible: false };
  assertUserEventType(event);
  return {
    everyMs,
    bytes: new SharedBytes(new TextEncoder().encode(encodeEvent({ event, data: data ?? "" }))),
    isVisible: true,
  };
}

/** Over how many milliseconds ends are spread: none by default. @throws EverstreamError `INVALID_OPTION`. */
export function withinOf(options: { within?: number } | undefined): number {
  if (options === undefined) return 0;
  assertOptions("options", options, WITHIN_NAMES);
  return amount("within", options.within, 0, MAX_DELAY_MS);
}

function amount(
  name: string,
  value: number | undefined,
  fallback: number,
  max = Number.MAX_SAFE_INTEGER,
): number {
  if (value === undefined) return fallback;
  if (typeof value === "number" && value >= 0 && value <= max) return value;
  throw invalidOption(`\`${name}\` is ${String(value)}, but must be a number from 0 to ${max}.`);
}
