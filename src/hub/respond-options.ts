import { invalidOption } from "../errors.ts";
import { assertCallback, assertObject, assertOptions, type NamesOf } from "../input.ts";
import { EVENT_STREAM_HEADERS } from "../protocol/index.ts";
import type { SessionSettings, StreamOptions } from "../session/options.ts";
import { STREAM_NAMES, sessionSettings } from "../session/options.ts";
import { assertFrom, maxAgeOf, type RespondOptions, retryOf } from "./options.ts";

/** What an opening makes of its options before anybody is asked anything. */
export interface RespondSettings {
  readonly session: SessionSettings;
  readonly retry: number;
  readonly maxAgeMs: number;
  readonly headers: Readonly<Record<string, string>>;
}

const RESPOND_NAMES: NamesOf<RespondOptions> = {
  topics: true,
  authorize: true,
  expiresAt: true,
  maxSessionAge: true,
  from: true,
  retry: true,
  key: true,
  headers: true,
  compaction: true,
  ...STREAM_NAMES,
};
/** A field's name, which is a token (RFC 9110, 5.1 and 5.6.2). */
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** What no field's value may hold: controls but for TAB, and what is no byte (RFC 9110, 5.5). Node refuses the same. */
const UNFIT_FOR_FIELD = /[^\t\x20-\x7e\x80-\xff]/;

/**
 * Checks the options of an opening, all but what `askLeave` looks at.
 *
 * @throws EverstreamError `INVALID_OPTION`, naming the option; `INVALID_EVENT`, `RESERVED_TYPE` for the heartbeat's event.
 */
export function respondSettings(options: RespondOptions): RespondSettings {
  assertOptions("options", options, RESPOND_NAMES);
  const { key, authorize, compaction, headers } = options;
  if (key !== undefined && typeof key !== "string") {
    throw invalidOption(
      `\`key\` is ${key === null ? "null" : typeof key}, but must be a string; leave it out for none.`,
    );
  }
  assertCallback("authorize", authorize);
  if (compaction !== undefined) {
    assertObject("compaction", compaction);
    if (typeof compaction.key !== "string" || typeof compaction.compact !== "function") {
      throw invalidOption("`compaction` must have a `key`, which is a string, and a function `compact`.");
    }
  }
  assertFrom(options.from);
  if (headers !== undefined) assertHeaders(headers);
  return {
    session: sessionSettingsOf(options),
    retry: retryOf(options.retry),
    maxAgeMs: maxAgeOf(options.maxSessionAge),
    headers: headersWith(headers),
  };
}

/**
 * Checks headers before anything is begun: what refuses them otherwise is the response, when the session is there.
 *
 * @throws EverstreamError `INVALID_OPTION`.
 */
export function assertHeaders(headers: Readonly<Record<string, string>>): void {
  assertObject("headers", headers);
  // Entries of `Headers` and their like are not to be seen as properties.
  if (Symbol.iterator in headers)
    throw invalidOption("`headers` must be a plain object of names and values.");
  for (const [name, value] of Object.entries(headers)) {
    if (!FIELD_NAME.test(name))
      throw invalidOption(`\`headers\` has the name ${JSON.stringify(name)}, which is none.`);
    if (typeof value === "string" && !UNFIT_FOR_FIELD.test(value)) continue;
    throw invalidOption(
      `\`headers\` has a value for ${JSON.stringify(name)} that can't be sent; give a string of printable characters up to U+00FF.`,
    );
  }
}

/** The usual headers, but for those that the user chose, however these are spelt. */
function headersWith(chosen: Readonly<Record<string, string>> | undefined): Readonly<Record<string, string>> {
  if (chosen === undefined) return EVENT_STREAM_HEADERS;
  const names = new Set(Object.keys(chosen).map((name) => name.toLowerCase()));
  const usual = Object.entries(EVENT_STREAM_HEADERS).filter(([name]) => !names.has(name.toLowerCase()));
  return { ...Object.fromEntries(usual), ...chosen };
}

let lastKey = "";
let lastSettings: SessionSettings | undefined;

/** Sessions with the same options share one object: most of a server's have. */
function sessionSettingsOf({
  heartbeat,
  stallTimeout,
  highWaterMark,
  maxPendingBytes,
}: RespondOptions): SessionSettings {
  const given = [heartbeat, stallTimeout, highWaterMark, maxPendingBytes];
  if (given.every((option) => option === undefined)) return sessionSettings();
  const key = JSON.stringify(given, spelledOut);
  if (lastSettings === undefined || key !== lastKey) {
    const options: StreamOptions = {};
    if (heartbeat !== undefined) options.heartbeat = heartbeat;
    if (stallTimeout !== undefined) options.stallTimeout = stallTimeout;
    if (highWaterMark !== undefined) options.highWaterMark = highWaterMark;
    if (maxPendingBytes !== undefined) options.maxPendingBytes = maxPendingBytes;
    lastSettings = sessionSettings(options);
    lastKey = key;
  }
  return lastSettings;
}

/** JSON has `null` for much that is wrong, and that must not pass for what was left out. */
function spelledOut(_: string, value: unknown): unknown {
  const isPlain = typeof value === "object" || typeof value === "string" || Number.isFinite(value);
  return isPlain && value !== null ? value : String(value);
}
